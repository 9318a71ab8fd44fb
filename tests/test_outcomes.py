from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import outcomes
from compression_engine import Outcome

ADDONS = Path(__file__).resolve().parents[1] / "addons"


def test_every_outcome_has_its_words_and_the_engine_knows_no_other() -> None:
    named = {getattr(outcomes, name) for name in outcomes.__all__ if name.isupper() and name != "MEANINGS"}
    assert set(outcomes.MEANINGS) == named
    assert set(Outcome) == {outcomes.REWRITTEN, outcomes.NOTHING_TO_DO, outcomes.NOT_UNDERSTOOD, outcomes.STOPPED}


def test_what_is_passed_through_says_so_and_why() -> None:
    for outcome, meaning in outcomes.MEANINGS.items():
        assert meaning.words == outcomes.words(outcome)
        assert meaning.remedy == outcomes.remedy(outcome)
        assert bool(outcomes.reason(outcome)) == (outcome != outcomes.REWRITTEN)
        assert outcomes.is_passed(outcome) == outcomes.words(outcome).startswith("passed through: ")
        assert outcomes.reason(outcome) in meaning.words or not meaning.is_passed


def test_who_did_what_they_were_told_to_did_not_just_pass_it_through() -> None:
    kept = {outcome for outcome in outcomes.MEANINGS if not outcomes.is_passed(outcome)}
    assert kept == {outcomes.REWRITTEN, outcomes.OBSERVED, outcomes.NOTHING_TO_DO, outcomes.HOLDOUT, outcomes.OFF}


def test_one_of_another_version_stands_for_itself() -> None:
    assert (outcomes.words("new"), outcomes.reason("new"), outcomes.remedy("new")) == ("new", "new", "")
    assert not outcomes.is_passed("new")
    assert outcomes.words("") == ""


def test_who_reads_the_ledger_gets_the_names_without_mitmproxy() -> None:
    code = "import sys, billing.accounts; print('mitmproxy' in sys.modules, 'compression_engine' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ADDONS, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import outcomes
from billing.entry import Change, Ending, Entry
from billing.ledger import LEDGER_FILE, Ledger
from doctor_checks import traffic
from doctor_checks.finding import Verdict
from tests.billing.entries import entry as made_up_entry

NOW = 1_800_000_000.0


def entry(outcome: str = "rewritten", status: int = 200, at: float = NOW - 60, size: int = 90_000) -> Entry:
    changes = (Change("Read", "file", 2, 1_000, 400),) if outcome == "rewritten" else ()
    return made_up_entry(
        at,
        outcome=outcome,
        status=status,
        ending=Ending.COMPLETE if 0 < status < 400 else Ending.REFUSED if status else Ending.UNREACHED,
        bytes_before=size,
        bytes_after=size // 2,
        changes=changes,
    )


def test_requests_were_made_smaller() -> None:
    found = traffic.judge([entry(), entry(), entry("nothing-to-do"), entry(status=529)])
    assert found.verdict is Verdict.OK
    assert found.detail == "3 requests, 2 made smaller by 1,200 o200k_base tokens; 1 nothing-to-do"


def test_no_request_is_no_failure() -> None:
    found = traffic.judge([])
    assert (found.verdict, found.detail) == (Verdict.SKIPPED, "no request came through the proxy")


def test_the_doctor_s_own_requests_do_not_count() -> None:
    assert traffic.judge([entry("not-understood", 401, size=2)]).verdict is Verdict.SKIPPED


@pytest.mark.parametrize("outcome", sorted(outcomes.MEANINGS.keys() - {outcomes.REWRITTEN}))
def test_none_was_made_smaller_and_it_is_said_why(outcome: str) -> None:
    found = traffic.judge([entry(outcome), entry(outcome), entry("failed")])
    assert found.verdict is Verdict.WARNING
    assert outcomes.reason(outcome) in found.detail
    assert found.remedy == outcomes.remedy(outcome)
    assert found.detail.startswith("3 requests, none made smaller; of ")


def test_an_outcome_of_a_later_version_is_told_as_it_is() -> None:
    assert "the reason is: something-new" in traffic.judge([entry("something-new")]).detail


def test_all_were_refused() -> None:
    found = traffic.judge([entry(status=401), entry(status=401), entry(status=0)])
    assert found.verdict is Verdict.WARNING
    assert "3 requests, none answered: most were refused with 401" in found.detail


def test_none_reached_the_service() -> None:
    found = traffic.judge([entry(status=0)])
    assert (found.verdict, found.detail) == (
        Verdict.WARNING,
        "1 request, none answered: most did not reach the service",
    )


def test_the_last_hour_of_the_ledger(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / LEDGER_FILE, lambda _: None, clock=lambda: NOW)
    ledger.add(entry("observed", at=NOW - 3700))
    ledger.add(entry(at=NOW - 3500))
    assert ledger.flush(60)  # `close` waits for two seconds only
    ledger.close()
    assert traffic.check(tmp_path, NOW).detail.startswith("1 request, 1 made smaller by 600 ")
    assert traffic.check(tmp_path, NOW + 3600).verdict is Verdict.SKIPPED


def test_no_ledger(tmp_path: Path) -> None:
    found = traffic.check(tmp_path, NOW)
    assert found.verdict is Verdict.SKIPPED
    assert str(tmp_path) in found.detail
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_that_is_none(tmp_path: Path) -> None:
    (tmp_path / LEDGER_FILE).write_bytes(b"no database at all, but long enough to look at" * 100)
    found = traffic.check(tmp_path, NOW)
    assert found.verdict is Verdict.FAILED
    assert "cannot be read" in found.detail
    assert "move it away" in found.remedy


def test_a_ledger_of_a_later_version(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / LEDGER_FILE)) as connection:
        connection.execute("PRAGMA user_version = 999")
    found = traffic.check(tmp_path, NOW)
    assert found.verdict is Verdict.FAILED
    assert "later version" in found.detail

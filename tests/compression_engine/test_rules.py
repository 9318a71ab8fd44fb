from __future__ import annotations

import pytest

from compression_engine import RULES_VERSION, Engine, Policy, WireFormat, restore, results, rules
from compression_engine.history import Shown
from compression_engine.results import Folded, Source
from tests.compression_engine.bodies import READ, body, numbered, source_lines, texts, turns

FORMAT = WireFormat.ANTHROPIC_MESSAGES


def _never_refers(text: str, source: Source, shown: Shown, *, may_refer: bool = True) -> Folded | None:
    del may_refer
    return results.fold(text, source, shown, may_refer=False)


@pytest.fixture
def _older_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there had been a version that referred to nothing."""
    monkeypatch.setitem(rules.VERSIONS, 0, _never_refers)


def test_the_newest_version_is_there() -> None:
    assert max(rules.VERSIONS) == RULES_VERSION


@pytest.mark.usefixtures("_older_rules")
def test_a_conversation_keeps_its_rules_as_long_as_its_policy_says_so() -> None:
    lines = numbered(source_lines(60))
    messages = turns((READ, {"file_path": "a.py"}, lines), (READ, {"file_path": "a.py"}, lines))
    older = Engine().rewrite(body(messages), FORMAT, lambda _: Policy(rules=0)).body
    newer = Engine().rewrite(body(messages), FORMAT, lambda _: Policy(rules=RULES_VERSION)).body
    assert "above]" not in texts(older)[1]
    assert "above]" in texts(newer)[1]
    assert texts(restore(older)) == texts(restore(newer)) == [lines, lines]


@pytest.mark.usefixtures("_older_rules")
def test_an_upgrade_changes_no_byte_of_what_went_out() -> None:
    lines = numbered(source_lines(60))
    messages = turns(*((READ, {"file_path": "a.py"}, lines) for _ in range(3)))
    policy = Policy(rules=0)
    before = Engine().rewrite(body(messages[:5]), FORMAT, lambda _: policy).body
    after = Engine().rewrite(body(messages), FORMAT, lambda _: policy).body
    assert texts(after)[:2] == texts(before)


def test_rules_that_are_not_known_are_taken_for_the_newest() -> None:
    assert rules.fold_of(99) is rules.VERSIONS[RULES_VERSION]

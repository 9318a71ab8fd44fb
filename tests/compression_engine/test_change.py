from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compression_engine import ResultChange, tokens
from compression_engine.history import Shown
from compression_engine.results import Source, fold
from tests.compression_engine.bodies import numbered, source_lines

BEFORE, AFTER = "one two three four", "one two"


def test_tokens_are_counted_when_somebody_asks() -> None:
    change = ResultChange("kind", BEFORE, AFTER)
    assert not change.is_counted
    assert (change.tokens_before, change.tokens_after) == (tokens.count(BEFORE), tokens.count(AFTER))
    assert change.is_counted
    assert BEFORE not in vars(ResultChange)


def test_texts_and_their_figures_are_the_same_change() -> None:
    change, counted = ResultChange("kind", BEFORE, AFTER, "Read"), ResultChange("kind", 4, 2, "Read")
    assert change == counted
    assert hash(change) == hash(counted)
    assert change != ResultChange("kind", 4, 2)
    assert change != "kind"
    assert ResultChange("kind", BEFORE, AFTER).by("Read") == counted


def test_what_is_shown_holds_no_text() -> None:
    assert repr(ResultChange("kind", BEFORE, AFTER)) == "ResultChange('kind', 4, 2, '')"


def test_another_process_gets_what_has_been_counted_so_far() -> None:
    change = ResultChange("kind", BEFORE, AFTER)
    there = pickle.loads(pickle.dumps(change))
    assert not there.is_counted
    assert there == change
    packed = pickle.dumps(change)
    assert b"three" not in packed
    assert pickle.loads(packed).is_counted


def test_what_was_counted_elsewhere_is_not_counted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    change = ResultChange("kind", BEFORE, AFTER)
    monkeypatch.setattr(tokens, "count", lambda _: 1 / 0)
    change.learn(ResultChange("kind", 4, 2))
    assert (change.is_counted, change.tokens_before, change.tokens_after) == (True, 4, 2)


def test_a_long_reading_is_written_shorter_without_counting_and_has_fewer_tokens() -> None:
    text = numbered(source_lines(200))
    folded = fold(text, Source("toolu_1", "a.py"), Shown())
    assert folded is not None
    assert not folded.change.is_counted
    assert folded.change.tokens_after < folded.change.tokens_before - 100


def test_of_a_short_one_every_token_counts() -> None:
    folded = fold(numbered(source_lines(24)), Source("toolu_1", "a.py"), Shown())
    assert folded is None or folded.change.is_counted


@given(
    st.lists(
        st.sampled_from(["", " " * 80, "\t", "x", "12", "…", "a b c", "}", "    return 1", "😀"]),
        min_size=60,
        max_size=150,
    )
)
def test_what_surely_pays_does(lines: list[str]) -> None:
    """Also where the lines that are left out have hardly a token."""
    shown = Shown()
    for use_id in ("toolu_1", "toolu_2"):
        folded = fold(numbered(lines), Source(use_id, "a.py"), shown)
        if folded is not None:
            folded.unfolded.show(shown)
            assert folded.change.tokens_after + 8 <= folded.change.tokens_before

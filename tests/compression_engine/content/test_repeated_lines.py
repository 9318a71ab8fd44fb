from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compression_engine.content import repeated_lines
from compression_engine.content.repeated_lines import unfold
from compression_engine.content.room import Room, TooLongError


def fold(lines: list[str], *, stay: bool = False) -> list[str] | None:
    return repeated_lines.fold(lines, [stay] * len(lines))


DOT = "waiting for the database to come up"


def test_copies_are_counted() -> None:
    assert fold(["a", *[DOT] * 12, "b"]) == ["a", DOT, "[line above 11 more times]", "b"]


def test_too_few_or_too_short_copies_stay() -> None:
    assert fold(["a", "a", "}", "}", "", "", ""]) is None


def test_what_is_to_stay_stays() -> None:
    assert fold(["error: could not connect to the database"] * 12, stay=True) is None


@given(
    st.lists(st.tuples(st.sampled_from([DOT, "", "x", "other line that is longer"]), st.integers(1, 30)), max_size=8)
)
def test_comes_back(runs: list[tuple[str, int]]) -> None:
    lines = [line for line, count in runs for _ in range(count)]
    folded = fold(lines)
    assert folded is None or unfold(folded, Room()) == lines


def test_a_forged_count_does_not_fill_the_memory() -> None:
    with pytest.raises(TooLongError):
        unfold(["x", "[line above 999999999 more times]"], Room())
    many = ["x", *["[line above 200000 more times]"] * 100]
    with pytest.raises(TooLongError):
        unfold(many, Room())

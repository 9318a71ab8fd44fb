from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from compression_engine import tokens
from compression_engine.content.words import differing, least_tokens

# What the tokenizer cuts in ways of its own, and what is neither a letter nor a mark of ASCII.
PIECES = st.sampled_from(
    [
        *"ab zZ 0918\n\t\r\v\f\x00\x1c/'!_-{}\":,.\\",
        *("don't", "'LL", "12345"),
        *"\xe9\u0301\u4e2d\xb2\u0663\xa0\u2028\u200b\u2192\u01c5\x85\u02b0\u2167\ud800",
    ]
)


@given(st.lists(PIECES, max_size=30).map("".join) | st.text())
@example("{\n/\n/")
@example("don't 1234567890123")
def test_there_are_never_fewer(text: str) -> None:
    assert least_tokens(text) <= tokens.count(text)


@given(PIECES, st.integers(19_990, 20_010), st.lists(PIECES, max_size=9).map("".join))
def test_there_are_never_fewer_across_the_pieces_that_are_counted(piece: str, length: int, end: str) -> None:
    text = (piece * length)[:length] + end
    assert least_tokens(text) <= tokens.count(text)


@pytest.mark.parametrize("text", ["for key, value in items.items():\n" * 9, "10:30:15 INFO took 33 of 4711 ms\n" * 9])
def test_there_are_not_many_more(text: str) -> None:
    assert least_tokens(text) >= 0.7 * tokens.count(text)


LINES = st.lists(st.lists(PIECES, max_size=4).map("".join), min_size=1, max_size=5)


@given(LINES, st.data())
@example(["", "/", "{", "  a"], None)
def test_what_differs_has_as_many_tokens_more(lines: list[str], data: st.DataObject | None) -> None:
    orders = st.lists(st.sampled_from(lines), min_size=1, max_size=9).map("\n".join)
    one, other = (data.draw(orders), data.draw(orders)) if data else ("\n".join(lines), "\n".join(lines[::-1]))
    gone, new = differing(one, other)
    assert tokens.count(gone) - tokens.count(new) == tokens.count(one) - tokens.count(other)


def test_what_is_counted_piece_by_piece_is_not_taken_apart() -> None:
    text = "some words\n" * 2000
    assert differing(text, "other words") == (text, "other words")
    assert differing(f"a\n{text[:1100]}end", f"b\n{text[:1100]}end") == ("a\nend", "b\nend")

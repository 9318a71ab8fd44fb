from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from web_view.pairs import Pair, Pairs

LIMIT = 100


def test_a_pair_is_there_until_there_is_no_room() -> None:
    pairs = Pairs(LIMIT)
    pairs.put("a", Pair(b"x" * 30, b"y" * 20))
    pairs.put("b", Pair(b"x" * 30, b"y" * 20))
    assert pairs.get("a") is not None  # and is the last that was looked at
    pairs.put("c", Pair(b"x" * 30, b"y" * 20))
    assert [pairs.get(one) is not None for one in "abc"] == [True, False, True]


def test_what_is_too_large_by_itself_drives_nothing_out() -> None:
    pairs = Pairs(LIMIT)
    pairs.put("a", Pair(b"x", b"y"))
    pairs.put("b", Pair(b"x" * LIMIT, b"y"))
    assert pairs.get("a") is not None
    assert pairs.get("b") is None


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 120), st.booleans()), max_size=40))
def test_there_is_never_more_than_the_limit(steps: list[tuple[str, int, bool]]) -> None:
    pairs = Pairs(LIMIT)
    for name, size, looks in steps:
        if looks:
            pairs.get(name)
        else:
            pairs.put(name, Pair(b"x" * size, b""))
        kept = [pair for one in "abcdef" if (pair := pairs.get(one))]
        assert pairs.size == sum(pair.size for pair in kept) <= LIMIT

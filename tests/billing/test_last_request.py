from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.last_request import Last, Mark, remembered
from billing.usage import Usage
from tests.billing.entries import entry

LAST = Last(
    entry(), Usage(cache_write_5m=9_000), 9_000, 1_000, 1_000, (Mark(1_500, 0), Mark(5_000, 700), Mark(9_000, 900))
)
WHOLE = Mark(10_000, 1_000)


@pytest.mark.parametrize(
    ("read", "removed"),
    [(0, 0), (1_000, 0), (1_500, 0), (5_000, 700), (9_000, 900), (10_000, 1_000), (3_250, 350), (9_500, 950)],
)
def test_what_was_removed_in_front_of_a_place(read: int, removed: float) -> None:
    assert LAST.removed_in(read, WHOLE) == removed


def test_of_a_conversation_of_which_nothing_is_known_it_is_spread_evenly() -> None:
    assert Last(entry(), Usage(), 0).removed_in(2_500, WHOLE) == 250


def test_more_than_all_is_all() -> None:
    assert LAST.removed_in(20_000, WHOLE) == 1_000


def grown(requests: int, step: int = 100) -> Last:
    last: Last | None = None
    for number in range(1, requests + 1):
        usage = Usage(cache_read=step * (number - 1), cache_write_5m=step)
        last = remembered(entry(results=number - 1), usage, 10 * (number - 1), last, observes=False)
    assert last is not None
    return last


def test_each_request_leaves_a_mark() -> None:
    last = grown(4)
    assert (last.cached, last.first_cached, last.bare, last.removed) == (400, 100, 100, 30)
    assert last.marks == (Mark(200, 10), Mark(300, 20), Mark(400, 30))


@given(st.integers(1, 400))
def test_marks_are_few_and_in_order(requests: int) -> None:
    last = grown(requests)
    assert len(last.marks) <= 33
    assert list(last.marks) == sorted(set(last.marks))
    for mark in last.marks:
        assert last.removed_in(mark.tokens, Mark(10**6, 10**6)) == mark.removed


def test_what_is_written_in_another_way_has_other_marks() -> None:
    last = grown(4)
    usage = Usage(cache_read=200, cache_write_5m=150)
    moved = remembered(entry(moved=True), usage, 90, last, observes=False)
    assert moved.marks == (Mark(200, 10), Mark(350, 90))
    assert remembered(entry(prefix_kept=False), usage, 90, last, observes=False).marks == moved.marks
    assert moved.bare == 100


def test_a_cache_that_is_read_anew_keeps_its_marks() -> None:
    usage = Usage(cache_write_5m=500)
    assert remembered(entry(), usage, 40, grown(4), observes=False).marks == (*grown(4).marks, Mark(500, 40))


def test_a_conversation_that_begins_with_results_has_no_bare_beginning() -> None:
    usage = Usage(cache_write_5m=500)
    assert remembered(entry(results=3), usage, 0, None, observes=False).bare == 0
    assert remembered(entry(results=0), usage, 5, None, observes=False).bare == 0
    assert remembered(entry(results=0), usage, 0, None, observes=False).bare == 500


def test_an_hour_once_asked_for_counts_from_then_on() -> None:
    last = remembered(entry(), Usage(cache_write_1h=500), 0, None, observes=False)
    assert last.asks_hour
    assert remembered(entry(), Usage(cache_read=500), 0, last, observes=False).asks_hour
    assert not grown(2).asks_hour


def test_what_was_only_measured_was_not_removed() -> None:
    observed = replace(grown(4), observes=True)
    assert observed.seen_as(observes=True) == observed
    assert observed.seen_as(observes=False).marks == ()
    nothing = replace(LAST, marks=(Mark(1_500, 0),), observes=True)
    assert nothing.seen_as(observes=False) == replace(nothing, observes=False)


@pytest.mark.parametrize(("tokens", "cached"), [(1_000, 0), (1_030, 1_024), (5_000, 4_992)])
def test_openai_caches_in_steps(tokens: int, cached: int) -> None:
    one = entry(endpoint="chat_completions")
    assert remembered(one, Usage(uncached=tokens), 0, None, observes=False).cached == cached

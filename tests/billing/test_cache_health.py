from __future__ import annotations

from typing import Any

import pytest

from billing.cache_health import Cause, Health, health_of
from billing.last_request import Last, remembered
from billing.prices import Ratios
from billing.usage import Usage
from tests.billing.entries import entry

BEFORE = Usage(cache_read=9_000, cache_write_5m=1_000)
HEAD, FIRST = 2_000, 3_000
LAST = Last(entry(), BEFORE, 10_000, FIRST)
HOUR = Last(entry(), BEFORE, 10_000, FIRST, asks_hour=True)


def health(read: int, last: Last = LAST, **fields: Any) -> Health | None:
    usage = fields.pop("usage", Usage(cache_read=read, cache_write_5m=10_500 - read))
    return health_of(entry(follows="talk", usage=usage, **fields), last, Ratios())


@pytest.mark.parametrize(
    ("read", "last", "fields", "cause", "lost"),
    [
        (10_000, LAST, {"gap": 20.0}, Cause.HIT, 0),
        (9_500, LAST, {"gap": 20.0}, Cause.HIT, 0),  # a few tokens behind the last mark
        (9_300, LAST, {"gap": 20.0}, Cause.UNKNOWN, 700),
        (10_000, LAST, {"gap": 400.0, "is_cold": True, "moved": True}, Cause.HIT, 0),  # what moved was not sent before
        (HEAD, LAST, {"gap": 20.0}, Cause.UNKNOWN, 8_000),
        (HEAD, LAST, {"gap": 301.0}, Cause.EXPIRED, 8_000),
        (HEAD, HOUR, {"gap": 301.0}, Cause.UNKNOWN, 8_000),
        (HEAD, HOUR, {"gap": 3601.0}, Cause.EXPIRED, 8_000),
        (HEAD, LAST, {"gap": 400.0, "moved": True, "is_cold": True}, Cause.EXPIRED, 8_000),
        (HEAD, LAST, {"gap": 4.0, "moved": True, "is_cold": True}, Cause.EXPIRED, 8_000),  # the user knows how long
        (HEAD, LAST, {"gap": 4.0, "moved": True}, Cause.OURS, 8_000),  # switched off at once
        (HEAD, LAST, {"gap": 310.0, "moved": True}, Cause.EXPIRED, 8_000),
        (FIRST, LAST, {"gap": 400.0, "moved": True, "is_cold": True}, Cause.OURS, 7_000),  # it was warm all the same
        (5_000, LAST, {"gap": 20.0, "prefix_kept": False}, Cause.CLIENT, 5_000),
        (0, LAST, {"gap": None}, Cause.UNKNOWN, 10_000),
    ],
)
def test_why_less_was_read(read: int, last: Last, fields: dict[str, Any], cause: Cause, lost: int) -> None:
    found = health(read, last, **fields)
    assert found is not None
    assert (found.cause, found.expected, found.lost) == (cause, 10_000, lost)
    assert found.units == pytest.approx(lost * 1.15)


def test_the_head_alone_is_no_hit_however_large_it_is() -> None:
    """What other conversations share is read when a conversation's own part is gone."""
    last = Last(entry(), Usage(cache_write_5m=100_000), 100_000, 97_000)
    found = health(96_000, last, gap=400.0)
    assert found is not None
    assert (found.cause, found.lost) == (Cause.EXPIRED, 4_000)


def test_who_goes_back_does_not_lose_what_is_not_said_any_more() -> None:
    usage = Usage(cache_read=5_000, cache_write_5m=700)
    found = health(0, prefix_kept=False, usage=usage)
    assert found is not None
    assert (found.cause, found.expected, found.lost) == (Cause.CLIENT, 5_700, 700)


def test_a_cold_start_that_left_nothing_is_not_taken_for_a_warm_one() -> None:
    last = Last(entry(), BEFORE, 10_000, first_cached=0)
    found = health(0, last, moved=True, is_cold=True, gap=400.0)
    assert found is not None
    assert found.cause is Cause.EXPIRED


def test_a_service_that_does_not_say_what_it_wrote_caches_what_it_was_sent() -> None:
    first = entry(endpoint="responses", usage=Usage(uncached=5_000))
    assert first.usage is not None
    last = remembered(first, first.usage, 0, None, observes=False)
    assert last.cached == 4_992
    hit = health_of(entry(endpoint="responses", usage=Usage(cache_read=4_864, uncached=400)), last, Ratios())
    miss = health_of(entry(endpoint="responses", usage=Usage(uncached=5_400), gap=10.0), last, Ratios())
    assert hit is not None
    assert miss is not None
    assert (hit.cause, miss.cause, miss.lost) == (Cause.HIT, Cause.UNKNOWN, 4_992)


def test_where_nothing_was_cached_nothing_is_expected() -> None:
    assert health_of(entry(usage=Usage(uncached=5)), Last(entry(), Usage(uncached=9), 0), Ratios()) is None


def test_an_answer_without_usage_tells_nothing() -> None:
    assert health_of(entry(), LAST, Ratios()) is None


@pytest.mark.parametrize("cause", Cause)
def test_each_has_a_sentence(cause: Cause) -> None:
    assert cause.sentence.endswith(".")

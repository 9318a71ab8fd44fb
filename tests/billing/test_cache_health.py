from __future__ import annotations

from typing import Any

import pytest

from billing.accounts import Last
from billing.cache_health import Cause, Health, health_of
from billing.usage import Usage
from tests.billing.entries import entry

BEFORE = Usage(cache_read=9_000, cache_write_5m=1_000)
HEAD, FIRST = 2_000, 3_000


def health(read: int, *, asks_hour: bool = False, **fields: Any) -> Health | None:
    last = Last(entry(), BEFORE, FIRST, 0.0, asks_hour)
    return health_of(entry(follows="talk", usage=Usage(cache_read=read, cache_write_5m=500), **fields), last)


@pytest.mark.parametrize(
    ("read", "fields", "cause", "lost"),
    [
        (10_000, {"gap": 20.0}, Cause.HIT, 0),
        (9_500, {"gap": 20.0}, Cause.HIT, 0),  # a few tokens behind the last mark
        (HEAD, {"gap": 20.0}, Cause.UNKNOWN, 8_000),
        (HEAD, {"gap": 301.0}, Cause.EXPIRED, 8_000),
        (HEAD, {"gap": 301.0, "asks_hour": True}, Cause.UNKNOWN, 8_000),
        (HEAD, {"gap": 3601.0, "asks_hour": True}, Cause.EXPIRED, 8_000),
        (HEAD, {"gap": 400.0, "moved": True, "is_cold": True}, Cause.EXPIRED, 8_000),
        (HEAD, {"gap": 4.0, "moved": True, "is_cold": True}, Cause.EXPIRED, 8_000),  # the user said how long it lives
        (FIRST, {"gap": 400.0, "moved": True, "is_cold": True}, Cause.OURS, 7_000),  # it was warm all the same
        (5_000, {"gap": 20.0, "prefix_kept": False}, Cause.CLIENT, 5_000),
        (0, {"gap": None}, Cause.UNKNOWN, 10_000),
    ],
)
def test_why_less_was_read(read: int, fields: dict[str, Any], cause: Cause, lost: int) -> None:
    assert health(read, **fields) == Health(cause, 10_000, lost)


def test_where_nothing_was_cached_nothing_is_expected() -> None:
    assert health_of(entry(usage=Usage(uncached=5)), Last(entry(), Usage(uncached=9), 0, 0.0, asks_hour=False)) is None


def test_an_answer_without_usage_tells_nothing() -> None:
    assert health_of(entry(), Last(entry(), BEFORE, FIRST, 0.0, asks_hour=False)) is None


@pytest.mark.parametrize("cause", Cause)
def test_each_has_a_sentence(cause: Cause) -> None:
    assert cause.sentence.endswith(".")

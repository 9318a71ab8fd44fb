"""When a prompt cache has certainly expired."""

from __future__ import annotations

import pytest

from conversations.branch import Cache
from conversations.prompt_cache import is_cold

FIVE, HOUR = Cache("c", answered_at=1000.0), Cache("c", 3600.0, answered_at=1000.0)


@pytest.mark.parametrize(
    ("cache", "lifetime", "seconds"),
    [
        (FIVE, None, 330.0),  # the margin is at least 30 s
        (HOUR, None, 3960.0),  # and a tenth
        (FIVE, 3.0, 3.0),  # none where the user knows better
        (HOUR, 3.0, 3.0),
        (FIVE, 0.0, 0.0),
    ],
)
def test_it_expires_after_its_lifetime_and_a_margin(cache: Cache, lifetime: float | None, seconds: float) -> None:
    assert not is_cold(cache, 1000.0 + seconds, lifetime)
    assert is_cold(cache, 1000.1 + seconds, lifetime)


def test_a_clock_that_goes_back_means_warm() -> None:
    assert not is_cold(FIVE, 0.0)
    assert not is_cold(FIVE, 999.0, 0.0)


def test_what_nothing_was_ever_answered_of_is_cold() -> None:
    assert is_cold(Cache("c"), 0.0)


def test_a_request_whose_end_is_not_known_may_have_used_it() -> None:
    asked = FIVE.used(2000.0, 300.0)
    assert not is_cold(asked, 2300.0)
    assert is_cold(asked.settled(2000.0, answered=False), 2300.0)
    assert not is_cold(asked.settled(2000.0, answered=True), 2300.0)
    assert is_cold(asked, 2331.0), "but not for ever"


def test_the_start_of_a_request_counts_and_not_its_end() -> None:
    cache = Cache("c").used(1000.0, 300.0).used(1100.0, 300.0)
    cache = cache.settled(1100.0, answered=True).settled(1000.0, answered=True)
    assert cache.last_sent == 1100.0
    assert cache.asked == ()


def test_the_longest_lifetime_that_was_asked_for_counts() -> None:
    assert FIVE.used(1.0, 3600.0).used(2.0, 300.0).keeps == 3600.0


def test_requests_that_never_end_are_not_kept_for_ever() -> None:
    cache = Cache("c")
    for at in range(1000):
        cache = cache.used(float(at), 300.0)
    assert len(cache.asked) < 50
    assert cache.last_sent == 999.0

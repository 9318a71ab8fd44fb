"""The time by which prompt caches are told warm from cold: it goes on evenly, whatever happens to the machine's clock.

A clock that is set forward makes a warm cache look cold, and one that is set back a cold one warm. So the machine's
clock is read once, when this is imported, and what has gone by since then is counted, sleep included.
"""

from __future__ import annotations

import time

__all__ = ["now"]

# Linux counts sleep in the first only; macOS does in the second, and in Python's `monotonic` it does not.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", None) or getattr(time, "CLOCK_MONOTONIC", None)


def _gone_by() -> float:
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)


_START = time.time() - _gone_by()


def now() -> float:
    """Seconds since 1970."""
    return _START + _gone_by()

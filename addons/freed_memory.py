"""Gives back to the system what large bodies leave behind in memory.

glibc keeps what is free between pieces that are in use, for what may come: after some hundred bodies of a megabyte that
is 50 MB, and it grows from then on. Giving back takes it 2 ms.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable

__all__ = ["FreedMemory"]

_ENOUGH_BYTES = 64 * 1024 * 1024
_WAIT_SECONDS = 1.0


def _malloc_trim() -> Callable[[int], int] | None:
    """What does so in glibc; other C libraries have nothing of the kind."""
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # Windows has no library without a name
        return None
    return trim


class FreedMemory:
    """Counts the bodies that are done with, and has their memory given back a moment after there were enough."""

    def __init__(self) -> None:
        self._give_back = _malloc_trim()
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, size: int) -> None:
        """So many bytes of a body are done with."""
        self._size += size
        if self._size >= _ENOUGH_BYTES and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_WAIT_SECONDS, self._on_time)

    def stop(self) -> None:
        """Give back nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_time(self) -> None:
        self._timer = None
        self._size = 0
        if self._give_back is not None:
            # On a thread: what the event loop does meanwhile mostly needs none of that memory.
            asyncio.get_running_loop().run_in_executor(None, self._give_back, 0)

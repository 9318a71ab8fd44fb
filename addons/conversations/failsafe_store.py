"""A store that goes on in memory where what it shares with others, a file or a server, cannot be used."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Protocol

from conversations.branch import Branch, Found, Store, StoreError, Wanted
from conversations.memory_store import MemoryStore

__all__ = ["FailsafeStore", "SharedStore"]

_REST_SECONDS = 5.0
"""How long a file that could not be used is left alone."""

# A server that has not answered is soon asked again, and later if it does not answer then: who asks waits for it.
_LEAST_REST, _MOST_REST = 1.0, 16.0


class SharedStore(Store, Protocol):
    """A store that other processes use as well. Methods may raise sqlite3.Error, OSError and StoreError."""

    def state(self) -> object:
        """Something that is another whenever anybody else has written to it, or may have."""


class _Use(Enum):
    """What is done with it. While another process writes, or when the disk is full, it can still be read."""

    READ = "read"
    WRITE = "write"


class FailsafeStore:
    """A shared store that goes on in memory where that cannot be used. Never raises for what a disk or network may do.

    `report` is told, in a few words without content, why it is not used.
    """

    def __init__(
        self, shared: SharedStore | None, report: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._shared = shared
        self._memory = MemoryStore()
        self._report = report
        self._clock = clock
        self._state: object = None  # of what is shared, when it was looked at last
        self._current: set[str] = set()  # branches that nobody else can have written since
        self._missed: set[str] = set()  # caches of which it does not know everything
        self._rest = _LEAST_REST  # for a server, the next time
        self._rests_until = dict.fromkeys(_Use, 0.0)

    @property
    def is_near(self) -> bool:
        """See `Store`."""
        return self._shared is None or self._shared.is_near

    def find(self, digests: Sequence[bytes], head: bytes | None, wanted: Wanted | None = None) -> Found | None:
        """See `Store`."""
        in_memory = self._memory.find(digests, head, wanted)
        if in_memory is not None and in_memory.goes_on and self._is_current(in_memory.branch):
            return in_memory
        found = [in_memory, *self._with_shared(_Use.READ, lambda shared: shared.find(digests, head, wanted))]
        known = [one for one in found if one is not None]
        return max(known, key=_latest, default=None)

    def save(self, branch: Branch, digests: Sequence[bytes], known: int = 0) -> bool:
        """See `Store`."""
        cache = branch.cache.id
        there = 0 if cache in self._missed else known
        saved = list(self._with_shared(_Use.WRITE, lambda shared: shared.save(branch, digests, there)))
        if False in saved:
            return False
        (self._missed.discard if saved else self._missed.add)(cache)
        found = self._memory.find(digests, branch.head, lambda one: one.cache.id == cache)
        is_newest = self._memory.save(branch, digests, min(known, found.known - 1 if found else 0))
        # Memory may know of more than what is shared, which was lost meanwhile: then the two do not say the same.
        (self._current.add if saved and is_newest else self._current.discard)(branch.id)
        self._forget_given_up()
        return is_newest

    def _forget_given_up(self) -> None:
        """Of what memory has given up, nothing need be known either: what is shared says how much of it is there."""
        if len(self._current) > len(self._memory.branches):
            self._current.intersection_update(self._memory.branches)
        if len(self._missed) > len(self._memory.caches):
            self._missed.intersection_update(self._memory.caches)

    def _is_current(self, branch: Branch) -> bool:
        """Whether what is shared says the same of `branch` as memory: we wrote it there, and nobody has since."""
        if not self.is_near:
            return False  # somebody else may have, at any time
        for state in self._with_shared(_Use.READ, lambda shared: shared.state()):
            if state != self._state:
                self._state = state
                self._current.clear()
            return branch.id in self._current
        return False

    def settle(self, cache_id: str, asked_at: float, *, answered: bool) -> None:
        """See `Store`."""
        self._memory.settle(cache_id, asked_at, answered=answered)
        list(self._with_shared(_Use.WRITE, lambda shared: shared.settle(cache_id, asked_at, answered=answered)))

    def move(self, shared: SharedStore) -> None:
        """Share something else from now on; what memory knows goes there when it is written next."""
        if self._shared is not None:
            self._shared.close()
        self._shared = shared
        self._current.clear()
        self._missed.update(self._memory.caches)
        self._rest = _LEAST_REST
        self._rests_until = dict.fromkeys(_Use, 0.0)

    def close(self) -> None:
        """Let go of what is open."""
        self._memory.close()
        if self._shared is not None:
            self._shared.close()

    def _with_shared[T](self, use: _Use, act: Callable[[SharedStore], T]) -> Iterator[T]:
        """What `act` gives, if what is shared can be used so."""
        if self._shared is None or self._clock() < self._rests_until[use]:
            return
        try:
            result = act(self._shared)
        except (sqlite3.Error, OSError, StoreError) as error:
            self._leave_alone(use, error)
            if not _is_busy(error):
                self._shared.close()
            self._report(type(error).__name__ if isinstance(error, OSError) else str(error))
            return
        self._rest = _LEAST_REST
        yield result

    def _leave_alone(self, use: _Use, error: Exception) -> None:
        if not isinstance(error, StoreError):
            self._rests_until[use] = self._clock() + _REST_SECONDS
            return
        for each in _Use:  # who waited for a server in vain does not wait for it again
            self._rests_until[each] = self._clock() + self._rest
        self._rest = min(2 * self._rest, _MOST_REST)


def _latest(found: Found) -> tuple[int, int, float, float]:
    """What says more stands higher. The times of a cache do not tell, where a clock went back while others used it."""
    cache = found.branch.cache
    return found.known, found.branch.version, cache.last_sent or 0, cache.keeps


def _is_busy(error: Exception) -> bool:
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY

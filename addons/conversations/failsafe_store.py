"""A store that goes on in memory where its file cannot be used."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from enum import Enum

from conversations.branch import Branch, Found, Wanted
from conversations.memory_store import MemoryStore
from conversations.sqlite_store import SQLiteStore

__all__ = ["FailsafeStore"]

_REST_SECONDS = 5.0
"""How long a file that could not be used is left alone."""


class _Use(Enum):
    """What is done with the file. While another process writes, or when the disk is full, it can still be read."""

    READ = "read"
    WRITE = "write"


class FailsafeStore:
    """A store in a file that goes on in memory where the file cannot be used. Never raises for what a disk may do.

    `report` is told, in a few words without content, why the file is not used.
    """

    def __init__(
        self, file: SQLiteStore | None, report: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._file = file
        self._memory = MemoryStore()
        self._report = report
        self._clock = clock
        self._state: object = None  # of the file, when it was looked at last
        self._current: set[str] = set()  # branches that nobody else can have written since
        self._missed: set[str] = set()  # caches of which the file does not know everything
        self._rests_until = {_Use.READ: 0.0, _Use.WRITE: 0.0}

    def find(self, digests: Sequence[bytes], head: bytes | None, wanted: Wanted | None = None) -> Found | None:
        """See `Store`."""
        in_memory = self._memory.find(digests, head, wanted)
        if in_memory is not None and in_memory.goes_on and self._is_current(in_memory.branch):
            return in_memory
        found = [in_memory, *self._with_file(_Use.READ, lambda file: file.find(digests, head, wanted))]
        known = [one for one in found if one is not None]
        return max(known, key=lambda one: (one.known, one.branch.version, _last_sent(one)), default=None)

    def save(self, branch: Branch, digests: Sequence[bytes], known: int = 0) -> bool:
        """See `Store`."""
        cache = branch.cache.id
        in_file = 0 if cache in self._missed else known
        saved = list(self._with_file(_Use.WRITE, lambda file: file.save(branch, digests, in_file)))
        if False in saved:
            return False
        (self._missed.discard if saved else self._missed.add)(cache)
        (self._current.add if saved else self._current.discard)(branch.id)
        found = self._memory.find(digests, branch.head, lambda one: one.cache.id == cache)
        return self._memory.save(branch, digests, min(known, found.known - 1 if found else 0))

    def _is_current(self, branch: Branch) -> bool:
        """Whether the file says the same of `branch` as memory: it was written there, and by nobody else since."""
        for state in self._with_file(_Use.READ, SQLiteStore.state):
            if state != self._state:
                self._state = state
                self._current.clear()
            return branch.id in self._current
        return False

    def settle(self, cache_id: str, asked_at: float, *, answered: bool) -> None:
        """See `Store`."""
        self._memory.settle(cache_id, asked_at, answered=answered)
        list(self._with_file(_Use.WRITE, lambda file: file.settle(cache_id, asked_at, answered=answered)))

    def close(self) -> None:
        """Let go of the file."""
        self._memory.close()
        if self._file is not None:
            self._file.close()

    def _with_file[T](self, use: _Use, act: Callable[[SQLiteStore], T]) -> Iterator[T]:
        """What `act` gives, if the file can be used so."""
        if self._file is None or self._clock() < self._rests_until[use]:
            return
        try:
            result = act(self._file)
        except (sqlite3.Error, OSError) as error:
            self._rests_until[use] = self._clock() + _REST_SECONDS
            if not _is_busy(error):
                self._file.close()
            self._report(str(error) if isinstance(error, sqlite3.Error) else type(error).__name__)
            return
        yield result


def _last_sent(found: Found) -> float:
    return found.branch.cache.last_sent or 0


def _is_busy(error: Exception) -> bool:
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY

"""The ledger: one row a request in an SQLite file, written on a thread of its own.

Nothing that the disk does reaches a request: entries wait in memory until the file can be written, and beyond a bound
the oldest are given up. Several proxies may write to one file.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from billing.entry import Entry
from billing.ledger_file import LedgerFile
from billing.ledger_rows import row_of

__all__ = ["LEDGER_FILE", "Ledger"]

LEDGER_FILE = "ledger.sqlite3"
"""The name of the file, in the folder that `foundry_state_dir` names."""

_GATHER_SECONDS = 0.5
"""How long an entry waits for others, so that they are written together."""

_IDLE_SECONDS = 5.0
"""After so long without an entry, the file is made whole by itself."""

_REST_SECONDS = 5.0
"""Between two attempts on a file that cannot be used."""

_SHORT_REST_SECONDS = 0.2
"""The same after the first failure, which may be another proxy's doing, and while somebody waits."""

_CLOSE_SECONDS = 2.0
_MOST_WAITING = 10_000
_BATCH = 1_000


class Ledger:
    """Writes entries to `path`. Whatever becomes of the file, no method raises.

    `report` is told in a few words, without content, why the file is not used, what was done about it, and that entries
    were given up; it is called on the writing thread, as often as the file fails. A file that is broken is kept under
    another name beside a new one. Requests older than `keep_days` are deleted, and the oldest beyond
    `keep_mb` megabytes. `clock` gives seconds since 1970.
    """

    def __init__(
        self,
        path: Path,
        report: Callable[[str], None],
        *,
        keep_days: int = 90,
        keep_mb: int = 256,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._file = LedgerFile(path, keep_days, keep_mb, clock)
        self._report = report
        self._changed = threading.Condition()
        # What follows is looked at and changed under `_changed`, which nobody holds for long.
        self._waiting: deque[Entry] = deque()
        self._added = 0
        self._settled = 0  # of those, written or given up
        self._flushing = 0  # who waits for that
        self._closed = False
        self._has_overflowed = False  # and nobody has been told
        self.lost = 0
        """How many entries were given up."""
        # What follows is the writing thread's own.
        self._failures = 0  # in a row
        self._is_folded = True
        self._thread = threading.Thread(target=self._run, name="foundry-ledger", daemon=True)
        self._thread.start()

    def add(self, entry: Entry) -> None:
        """Have an entry written. Never waits and never raises; what comes after `close` is given up."""
        with self._changed:
            self._added += 1
            if self._closed:
                self._give_up(1)
                return
            self._waiting.append(entry)
            self._trim()
            if len(self._waiting) in (1, _BATCH):
                self._changed.notify_all()

    def flush(self, seconds: float) -> bool:
        """Wait until what was added so far is in the file or given up; False if it is not after so many seconds."""
        with self._changed:
            added = self._added
            self._flushing += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(lambda: self._settled >= added, seconds)
            finally:
                self._flushing -= 1

    def close(self) -> None:
        """Write what is there, for two seconds at most, and stop. What is not written then is given up."""
        end = time.monotonic() + _CLOSE_SECONDS
        if not self._closed:
            self.flush(_CLOSE_SECONDS)
        with self._changed:
            self._closed = True
            self._give_up(len(self._waiting))
            self._waiting.clear()
            self._changed.notify_all()
        self._thread.join(max(0.1, end - time.monotonic()))

    # The writing thread

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            try:
                self._work(batch)
            except (sqlite3.Error, OSError) as error:
                self._failed(batch, error)
                self._rest()
            except Exception as error:  # noqa: BLE001 - what is not foreseen costs these entries and none after them
                self._tell(type(error).__name__)
                self._settle(len(batch), lost=len(batch))
        self._file.close()

    def _next(self) -> list[Entry] | None:
        """Entries to write, once there are some and they have waited for others; none: it is time to fold the file.

        None at the end.
        """
        with self._changed:
            idle = None if self._is_folded else _IDLE_SECONDS
            if self._changed.wait_for(lambda: self._waiting or self._closed, idle):
                self._changed.wait_for(self._need_not_gather, _GATHER_SECONDS)
            if self._closed:
                return None
            return [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]

    def _need_not_gather(self) -> bool:
        return self._closed or self._flushing > 0 or len(self._waiting) >= _BATCH

    def _work(self, batch: list[Entry]) -> None:
        if not batch:
            self._is_folded = True  # or will be, the next time
            self._file.fold()
            self._failures = 0
            return
        rows = _rows(batch)
        left_out = len(batch) - len(rows) + self._file.write(rows)
        self._is_folded = False
        if left_out:
            self._tell("an entry that cannot be written")
        self._settle(len(batch), lost=left_out)
        batch.clear()  # whatever fails from here on, they must not be written again
        self._file.bound()
        self._failures = 0

    def _failed(self, batch: list[Entry], error: sqlite3.Error | OSError) -> None:
        """Keep the entries for the next attempt."""
        with self._changed:
            if self._closed:
                self._give_up(len(batch))
            else:
                self._waiting.extendleft(reversed(batch))
                self._trim()
            has_overflowed, self._has_overflowed = self._has_overflowed, False
        self._failures += 1
        kept = self._file.set_aside(error)
        if kept is not None:
            self._tell(f"{_reason(error)}; what was there is kept as {kept}")
        elif self._failures > 1:
            self._tell(_reason(error))
        if has_overflowed:
            self._tell(f"more than {_MOST_WAITING} entries wait, and the oldest are given up")

    def _rest(self) -> None:
        with self._changed:
            if self._flushing or self._failures == 1:
                self._changed.wait_for(lambda: self._closed, _SHORT_REST_SECONDS)
            else:
                self._changed.wait_for(lambda: self._closed or self._flushing, _REST_SECONDS)

    def _tell(self, reason: str) -> None:
        with suppress(Exception):
            self._report(reason)

    def _settle(self, count: int, *, lost: int) -> None:
        with self._changed:
            self._settled += count - lost
            self._give_up(lost)
            self._changed.notify_all()

    def _trim(self) -> None:
        while len(self._waiting) > _MOST_WAITING:
            self._waiting.popleft()
            self._give_up(1)
            self._has_overflowed = True

    def _give_up(self, count: int) -> None:
        self.lost += count
        self._settled += count


def _rows(batch: Sequence[Entry]) -> list[tuple[object, ...]]:
    """The rows for entries, without those for which there is none."""
    rows = []
    for entry in batch:
        with suppress(Exception):
            rows.append(row_of(entry))
    return rows


def _reason(error: sqlite3.Error | OSError) -> str:
    """Why, without a path."""
    return str(error) if isinstance(error, sqlite3.Error) else error.strerror or type(error).__name__

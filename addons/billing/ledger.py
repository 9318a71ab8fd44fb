"""The ledger: one row a request in an SQLite file, written on a thread of its own.

Nothing that the disk does reaches a request: entries wait in memory until the file can be written, and beyond a bound
the oldest are given up. Several proxies may write to one file.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path

from billing.entry import Entry
from billing.ledger_rows import COLUMNS, row_of
from billing.ledger_schema import migrate

__all__ = ["LEDGER_FILE", "Ledger"]

LEDGER_FILE = "ledger.sqlite3"
"""The name of the file, in the folder that `foundry_state_dir` names."""

_GATHER_SECONDS = 0.5
"""How long an entry waits for others, so that they are written together."""

_LOCK_SECONDS = 2.0
_REST_SECONDS = 5.0
_CLOSE_SECONDS = 2.0
_MOST_WAITING = 10_000
_BATCH = 1_000
_TIDY_EVERY = 500
_DAY = 24 * 3600.0
_MB = 1024 * 1024
# A file that is too large loses this share of its requests at a time, the oldest.
_TIDY_SHARE = 0.1
_INSERT = f"INSERT INTO requests ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608 - names


class Ledger:
    """Writes entries to `path`.

    `report` is told in a few words, without content, why the file is not used; it is called on the writing thread.
    Requests older than `keep_days` are deleted, and the oldest beyond `keep_mb` megabytes. `clock` gives seconds since
    1970.
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
        self._path = path
        self._report = report
        self._keep_days = keep_days
        self._keep_bytes = keep_mb * _MB
        self._clock = clock
        self._waiting: deque[Entry] = deque()
        self._changed = threading.Condition()
        self._busy = False  # some are being written
        self._hurried = False
        self._closed = False
        self._written = 0
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None  # which file is open
        self.lost = 0
        """How many entries were given up."""
        self._thread = threading.Thread(target=self._run, name="foundry-ledger", daemon=True)
        self._thread.start()

    def add(self, entry: Entry) -> None:
        """Have an entry written. Never waits and never raises; what comes after `close` is given up."""
        with self._changed:
            if self._closed:
                self.lost += 1
                return
            self._waiting.append(entry)
            if len(self._waiting) > _MOST_WAITING:
                self._waiting.popleft()
                self.lost += 1
            if len(self._waiting) == 1:
                self._changed.notify_all()

    def flush(self, seconds: float) -> bool:
        """Wait until what was added is in the file; False if it is not after so many seconds."""
        with self._changed:
            self._hurried = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._waiting and not self._busy, seconds)

    def close(self) -> None:
        """Write what is there, for two seconds at most, and stop."""
        if not self._closed:
            self.flush(_CLOSE_SECONDS)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while self._wait_for_work():
            if not self._write():
                with self._changed:
                    self._changed.wait_for(lambda: self._closed, _REST_SECONDS)
        self._let_go()

    def _wait_for_work(self) -> bool:
        """Wait for entries, and a little longer for more of them; False at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if not self._closed:
                self._changed.wait_for(lambda: self._hurried or self._closed, _GATHER_SECONDS)
            self._hurried = False
            return not self._closed

    def _write(self) -> bool:
        """Write what waits; False where the file cannot be used now."""
        with self._changed:
            batch = list(islice(self._waiting, _BATCH))
            self._busy = True
        try:
            self._insert([row_of(entry) for entry in batch])
        except (sqlite3.Error, OSError) as error:
            self._set_aside_if_broken(error)
            self._let_go()
            self._report(str(error) if isinstance(error, sqlite3.Error) else type(error).__name__)
            return False
        except Exception as error:  # noqa: BLE001 - an entry that cannot be written must not keep those behind it
            self.lost += len(batch)
            self._report(type(error).__name__)
        finally:
            with self._changed:
                self._busy = False
        with self._changed:
            for entry in batch:
                if self._waiting and self._waiting[0] is entry:  # else it has been given up meanwhile
                    self._waiting.popleft()
            self._changed.notify_all()
        return True

    def _insert(self, rows: list[tuple[object, ...]]) -> None:
        connection = self._open()
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany(_INSERT, rows)
        except BaseException:
            if connection.in_transaction:  # a full disk ends it
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        if self._written % _TIDY_EVERY + len(rows) >= _TIDY_EVERY or not self._written:
            self._tidy(connection)
        self._written += len(rows)

    def _tidy(self, connection: sqlite3.Connection) -> None:
        """Give up what is old, and the oldest of what is too much."""
        connection.execute("DELETE FROM requests WHERE at < ?", (self._clock() - self._keep_days * _DAY,))
        while self._size(connection) > self._keep_bytes:
            done = connection.execute(
                "DELETE FROM requests WHERE id IN (SELECT id FROM requests ORDER BY at LIMIT"
                " 1 + (SELECT COUNT(*) FROM requests) * ?)",
                (_TIDY_SHARE,),
            )
            if not done.rowcount:
                break
        connection.execute("PRAGMA incremental_vacuum")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @staticmethod
    def _size(connection: sqlite3.Connection) -> int:
        """Bytes that are in use in the file."""
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._file != _identity(self._path):
            self._let_go()  # somebody deleted it, or put another in its place
        if self._connection is None:
            self._connection = self._opened()
            self._file = _identity(self._path)
        return self._connection

    def _opened(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.touch(mode=0o600)  # SQLite gives the files that it puts beside it the same mode
        connection = sqlite3.connect(self._path, timeout=_LOCK_SECONDS, check_same_thread=False, autocommit=True)
        try:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before there is anything in the file
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_aside_if_broken(self, error: Exception) -> None:
        """What is no ledger, or not whole, gets another name and is kept: a new one takes its place."""
        if not isinstance(error, sqlite3.Error) or getattr(error, "sqlite_errorname", "") not in _BROKEN:
            return
        self._let_go()
        with suppress(OSError):
            self._path.rename(self._path.with_name(f"{self._path.name}.broken-{int(self._clock())}"))
        for end in ("-wal", "-shm"):
            with suppress(OSError):
                self._path.with_name(self._path.name + end).unlink()

    def _let_go(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


_BROKEN = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB"})


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino

"""The file of the ledger as those who write it see it: opened when it is needed, bounded, set aside where it is broken.

Everything here belongs to one thread. Several proxies may have the same file open.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from billing.ledger_rows import COLUMNS
from billing.ledger_schema import check, migrate
from sqlite_files import identity, make_private, transaction

__all__ = ["LedgerFile"]

_LOCK_SECONDS = 1.0
_DAY = 24 * 3600.0
_MB = 1024 * 1024
_INSERT = f"INSERT INTO requests ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608 - names
# A file that is too large loses a tenth of its requests at a time, the oldest. The limit must be a whole number.
_DELETE_OLDEST = (
    "DELETE FROM requests WHERE id IN"
    " (SELECT id FROM requests ORDER BY at, id LIMIT 1 + (SELECT COUNT(*) FROM requests) / 10)"
)
_SHRINK_PAGES = 1_000  # are given back at a time, so that others need not wait long
_MOST_SET_ASIDE = 3  # files
_BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
# What says that one row is no row. Everything else says something of the file.
_NO_ROW = (
    *(sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError),
    *(ValueError, TypeError, OverflowError),
)


class LedgerFile:
    """The file at `path`, with requests of `keep_days` at most, and `keep_mb` megabytes of them at most.

    `clock` gives seconds since 1970. Methods raise OSError or sqlite3.Error where the file cannot be used now; they let
    go of it then, and the next call tries anew.
    """

    def __init__(self, path: Path, keep_days: int, keep_mb: int, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._keep_seconds = keep_days * _DAY
        self._keep_bytes = keep_mb * _MB
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None  # which file is open
        self._wal: tuple[int, int] | None = None  # and which one is beside it

    def write(self, rows: Sequence[Sequence[object]]) -> int:
        """Write rows as `ledger_rows.row_of` makes them: all or, where this raises, none.

        Returns:
            How many were left out because no file could hold them.

        """
        with self._in_use() as connection, transaction(connection):
            left_out = 0
            for row in rows:
                try:
                    connection.execute(_INSERT, row)
                except _NO_ROW:
                    left_out += 1
            connection.execute("DELETE FROM requests WHERE at < ?", (self._clock() - self._keep_seconds,))
        return left_out

    def bound(self) -> None:
        """Delete the oldest requests until the rest takes no more than it may, and give the room back."""
        with self._in_use() as connection:
            is_too_large = False
            while _used_bytes(connection) > self._keep_bytes:
                is_too_large = True
                with transaction(connection):
                    if not connection.execute(_DELETE_OLDEST).rowcount:
                        break
            if is_too_large:
                _fold(connection)

    def fold(self) -> None:
        """Bring everything into the one file, so that it is whole without those that SQLite puts beside it."""
        if self._connection is None or self._file != identity(self._path):
            return  # a file that somebody deleted is not made anew before there is something to write
        with self._in_use() as connection:
            _fold(connection)

    def set_aside(self, error: Exception) -> str | None:
        """Where `error` says that the file is broken, give it another name: a new one takes its place.

        A database of another program, or of a later version of this one, stays where it is.

        Returns:
            The name under which it is kept; None if it has not been touched.

        """
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _BROKEN:  # the rest says what exactly is broken
            return None
        with suppress(OSError):
            if self._file is None or self._file != identity(self._path):
                return None  # another proxy has done it
            kept = self._free_name()
            self._path.rename(kept)
            # What was written last may still be in this one. SQLite looks for it under the name of the file.
            with suppress(OSError):
                _beside(self._path, "-wal").rename(_beside(kept, "-wal"))
            with suppress(OSError):
                _beside(self._path, "-shm").unlink()
            self._forget_older()
            return kept.name
        return None

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    @contextmanager
    def _in_use(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._file != identity(self._path):
            self._leave(self._connection)
        if self._connection is None:
            make_private(self._path)
            self._file = identity(self._path)
            self._connection = _connect(self._path)
            _prepare(self._connection)
            if self._file != identity(self._path):
                raise OSError("the file was replaced")
            self._wal = identity(_beside(self._path, "-wal"))
        return self._connection

    def _leave(self, connection: sqlite3.Connection) -> None:
        """Let go of a file that somebody deleted, moved away, or put another in the place of.

        What was written to it last goes with it. In the file that SQLite keeps beside it, it would be taken for changes
        to the one that has its name now.
        """
        wal = _beside(self._path, "-wal")
        with suppress(sqlite3.Error, OSError):
            if self._wal is not None and self._wal == identity(wal):  # else another proxy has done it
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                wal.unlink()
                _beside(self._path, "-shm").unlink()
        self.close()

    def _forget_older(self) -> None:
        """Of what was set aside, keep the newest: a disk that breaks one file after the other fills up otherwise."""
        found = self._path.parent.glob(f"{self._path.name}.broken-*")
        with suppress(OSError):  # another proxy does the same
            # A file's status changes when it gets another name.
            files = sorted((file.stat().st_ctime_ns, file) for file in found if not file.name.endswith("-wal"))
            for _, file in files[:-_MOST_SET_ASIDE]:
                _beside(file, "-wal").unlink(missing_ok=True)
                file.unlink(missing_ok=True)

    def _free_name(self) -> Path:
        name = f"{self._path.name}.broken-{int(self._clock())}"
        count = 1
        kept = self._path.with_name(name)
        while kept.exists():
            count += 1
            kept = self._path.with_name(f"{name}-{count}")
        return kept


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_LOCK_SECONDS, autocommit=True)


def _prepare(connection: sqlite3.Connection) -> None:
    """Make it a ledger of this version. What a later version made is not touched."""
    check(connection)
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before there is anything in the file
    connection.execute("PRAGMA journal_mode = WAL")
    # The file stays whole in a power failure, and the disk is waited for now and then only, by nobody but this thread.
    connection.execute("PRAGMA synchronous = NORMAL")
    migrate(connection)


def _fold(connection: sqlite3.Connection) -> None:
    free = _pragma(connection, "freelist_count")
    while free:
        # Each step gives back one page: all the rows must be taken.
        connection.execute(f"PRAGMA incremental_vacuum({_SHRINK_PAGES})").fetchall()
        before, free = free, _pragma(connection, "freelist_count")
        if free >= before:
            break  # a file that somebody else made anew, without this
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _used_bytes(connection: sqlite3.Connection) -> int:
    pages = _pragma(connection, "page_count") - _pragma(connection, "freelist_count")
    return pages * _pragma(connection, "page_size")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)

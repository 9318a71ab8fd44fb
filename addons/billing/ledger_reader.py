"""Reads the ledger, beside the proxies that write it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from urllib.parse import quote

from billing.entry import Entry
from billing.ledger_rows import COLUMNS, entry_of
from billing.ledger_schema import VERSION, LaterVersionError, check

__all__ = ["LedgerError", "LedgerReader"]

_LOCK_SECONDS = 5.0
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM requests WHERE at >= ? AND at < ? ORDER BY at, id"  # noqa: S608 - names
_LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_CLOSED_DOOR = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_READONLY})


class LedgerError(Exception):
    """The ledger cannot be read; one line that says why and, after the last colon, what to do."""


class LedgerReader:
    """Reads the ledger at `path`, the file that is there now; changes nothing in it. Methods raise LedgerError.

    It belongs to the thread that made it.
    """

    def __init__(self, path: Path) -> None:
        self.unreadable = 0
        """How many rows were left out when `entries` was last gone through."""
        self._path = path
        try:
            if not path.exists():
                raise _none_at(path)
            if path.is_dir():
                raise IsADirectoryError
            # As bytes, since a path may be in no encoding.
            address = f"file:{quote(os.fsencode(path))}?mode=ro"
            self._connection = sqlite3.connect(address, uri=True, timeout=_LOCK_SECONDS, autocommit=True)
            # Text that is none costs a character, and not the whole ledger.
            self._connection.text_factory = partial(str, encoding="utf-8", errors="replace")
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from None
        try:
            self._check()
        except BaseException:
            self._connection.close()
            raise

    def entries(self, since: float | None = None, until: float | None = None) -> Iterator[Entry]:
        """The entries from `since` to before `until` (seconds since 1970), oldest first.

        A row that holds no entry costs that one request: `unreadable` says how many did.
        """
        start = float("-inf") if since is None else since
        end = float("inf") if until is None else until
        self.unreadable = 0
        try:
            with closing(self._connection.execute(_SELECT, (start, end))) as rows:
                for row in rows:
                    try:
                        entry = entry_of(row)
                    except ValueError:
                        self.unreadable += 1
                        continue
                    yield entry
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _check(self) -> None:
        try:
            version = check(self._connection)
        except sqlite3.Error as error:
            raise self._unusable(error) from None
        if version == 0:
            raise _none_at(self._path)  # it is just being made
        if version < VERSION:
            # The proxy brings it to this version when it writes the next request.
            raise LedgerError(f"{self._path} was made by an earlier version of Foundry Compress: start the proxy once")

    def _unusable(self, error: Exception) -> LedgerError:
        if isinstance(error, LaterVersionError):
            return LedgerError(f"{self._path} was made by a later version of Foundry Compress: read it with that one")
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _LOCKED:
            return LedgerError(f"Another program has locked the ledger {self._path}: try again when it has ended")
        if isinstance(error, OSError) or code in _CLOSED_DOOR:
            return LedgerError(
                f"The ledger {self._path} cannot be opened: see that it is a file that you may read, in a folder of "
                "yours, or read it as the user who runs the proxy"
            )
        return LedgerError(
            f"The ledger {self._path} cannot be read ({error}): if it is broken, move it away, and the next request "
            "begins a new one"
        )


def _none_at(path: Path) -> LedgerError:
    return LedgerError(f"There is no ledger at {path}: it is made with the first request through the proxy")

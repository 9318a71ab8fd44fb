"""Reads the ledger, beside the proxies that write it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from billing.entry import Entry
from billing.ledger_rows import COLUMNS, entry_of
from billing.ledger_schema import VERSION

__all__ = ["LedgerError", "LedgerReader"]

_LOCK_SECONDS = 5.0
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM requests WHERE at >= ? AND at < ? ORDER BY at, id"  # noqa: S608 - names


class LedgerError(Exception):
    """The ledger cannot be read; one line that says why and what to do."""


class LedgerReader:
    """Reads the ledger at `path`; changes nothing. Methods raise LedgerError."""

    def __init__(self, path: Path) -> None:
        none = LedgerError(f"There is no ledger at {path}: it is made with the first request through the proxy")
        if not path.exists():
            raise none
        self._path = path
        try:
            self._connection = sqlite3.connect(
                f"file:{quote(str(path))}?mode=ro", uri=True, timeout=_LOCK_SECONDS, autocommit=True
            )
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.Error as error:
            raise self._unusable(error) from None
        if version == VERSION:
            return
        self._connection.close()
        if not version:
            raise none  # it is just being made
        if version > VERSION:
            raise LedgerError(f"{path} was made by a later version of Foundry Compress: read it with that one")
        # The proxy brings it to this version when it writes the next request.
        raise LedgerError(f"{path} was made by an earlier version of Foundry Compress: start the proxy once")

    def entries(self, since: float | None = None, until: float | None = None) -> Iterator[Entry]:
        """The entries from `since` to before `until` (seconds since 1970), oldest first."""
        start = -1e18 if since is None else since
        end = 1e18 if until is None else until
        try:
            with closing(self._connection.execute(_SELECT, (start, end))) as rows:
                for row in rows:
                    yield entry_of(row)
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise self._unusable(error) from None

    def last_at(self) -> float | None:
        """When the last request came in, in seconds since 1970."""
        try:
            found = self._connection.execute("SELECT MAX(at) FROM requests").fetchone()[0]
        except sqlite3.Error as error:
            raise self._unusable(error) from None
        return None if found is None else float(found)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _unusable(self, error: Exception) -> LedgerError:
        return LedgerError(
            f"The ledger {self._path} cannot be read ({error}): if it is broken, move it away, and the next request "
            "begins a new one"
        )

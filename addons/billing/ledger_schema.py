"""The tables of the ledger, and how those of an earlier version become those of this one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from billing.ledger_rows import COLUMNS
from sqlite_files import transaction

__all__ = ["MIGRATIONS", "VERSION", "LaterVersionError", "NotALedgerError", "check", "migrate"]

type Migration = Callable[[sqlite3.Connection], None]


class LaterVersionError(sqlite3.DatabaseError):
    """The file was made by a later version of the program."""


class NotALedgerError(sqlite3.DatabaseError):
    """The file is a database, but none of ours."""


def _first(connection: sqlite3.Connection) -> None:
    connection.execute(
        """
        CREATE TABLE requests (
            id INTEGER PRIMARY KEY,
            at REAL NOT NULL,
            conversation TEXT NOT NULL,
            follows TEXT NOT NULL,
            session TEXT NOT NULL,
            deployment TEXT NOT NULL,
            model TEXT NOT NULL,
            endpoint TEXT NOT NULL,
            mode TEXT NOT NULL,
            holdout INTEGER NOT NULL,
            outcome TEXT NOT NULL,
            status INTEGER NOT NULL,
            ending TEXT NOT NULL,
            bytes_before INTEGER NOT NULL,
            bytes_after INTEGER NOT NULL,
            added_ms REAL NOT NULL,
            gap REAL,
            is_cold INTEGER NOT NULL,
            moved INTEGER NOT NULL,
            prefix_kept INTEGER NOT NULL,
            set_aside INTEGER NOT NULL,
            recalled INTEGER NOT NULL,
            results INTEGER NOT NULL,
            errors INTEGER NOT NULL,
            rereads INTEGER NOT NULL,
            counted INTEGER NOT NULL,
            changes TEXT NOT NULL,
            uncached INTEGER,
            cache_read INTEGER,
            cache_write_5m INTEGER,
            cache_write_1h INTEGER,
            output INTEGER
        )
        """
    )
    connection.execute("CREATE INDEX requests_by_time ON requests (at)")


MIGRATIONS: tuple[Migration, ...] = (_first,)
"""Each takes a file from its place in this list to the next version; 0 is an empty file."""

VERSION = len(MIGRATIONS)


def check(connection: sqlite3.Connection) -> int:
    """The version of the file behind `connection`; 0 is an empty file. Changes nothing.

    Raises:
        LaterVersionError: it is beyond `VERSION`.
        NotALedgerError: it holds something else.
        sqlite3.Error: whatever else keeps it from being read.

    """
    connection.execute("BEGIN")  # the version and the tables of one moment
    try:
        version = _version(connection)
        is_empty = not connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        columns = {row[1] for row in connection.execute("PRAGMA table_info(requests)")}
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    if version > VERSION:
        raise LaterVersionError(f"made by a later version of Foundry Compress, with schema {version}")
    if (version == 0 and not is_empty) or (version == VERSION and not columns.issuperset(COLUMNS)):
        raise NotALedgerError("a database of another program")
    return version


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring the file behind `connection` to the newest version, each step whole or not at all.

    Raises:
        LaterVersionError: it is beyond that.
        sqlite3.Error: whatever else keeps it from being done.

    """
    while (version := _version(connection)) < len(migrations):
        with transaction(connection):
            if _version(connection) == version:  # nobody else has done it meanwhile
                migrations[version](connection)
                connection.execute(f"PRAGMA user_version = {version + 1}")
    if version > len(migrations):
        raise LaterVersionError(f"made by a later version of Foundry Compress, with schema {version}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])

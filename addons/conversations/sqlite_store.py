"""Branches in an SQLite file: hashes, policies and times, no content.

Several processes may share the file. Nothing in it is needed for a right answer.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import batched
from pathlib import Path
from typing import Any

from compression_engine import Place, Policy
from conversations.branch import Branch, Found

__all__ = ["SQLiteStore"]

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS branches (
    id TEXT PRIMARY KEY,
    head BLOB NOT NULL,
    count INTEGER NOT NULL,
    policy TEXT NOT NULL,
    asks_hour INTEGER NOT NULL,
    asked_at REAL,
    answered_at REAL,
    version INTEGER NOT NULL,
    used_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS requests (
    digest BLOB NOT NULL,
    head BLOB NOT NULL,
    branch TEXT NOT NULL,
    PRIMARY KEY (digest, head)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS branches_by_use ON branches (used_at);
CREATE INDEX IF NOT EXISTS requests_by_branch ON requests (branch);
"""
_COLUMNS = "id, head, count, policy, asks_hour, asked_at, answered_at, version"
_OF_BRANCH = _COLUMNS.replace("head", "branches.head")

_LOCK_SECONDS = 0.1
"""How long a request waits for another process that writes."""

_KEPT_SECONDS = 30 * 24 * 3600.0
_MOST_BRANCHES = 20_000
_TIDY_EVERY = 500
_NEAR = 8  # a conversation is mostly found among the last hashes of a request


class SQLiteStore:
    """A store in an SQLite file. Methods raise sqlite3.Error and OSError; for use by one thread at a time."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._saved = 0

    def find(self, digests: Sequence[bytes], head: bytes | None) -> Found | None:
        """See `Store`."""
        near = max(0, len(digests) - _NEAR)
        for start, end in ((near, len(digests)), (0, near)):
            if found := self._find_between(digests, start, end, head):
                return found
        return None

    def _find_between(self, digests: Sequence[bytes], start: int, end: int, head: bytes | None) -> Found | None:
        places = {digest: number for number, digest in enumerate(digests[start:end], start + 1)}
        rows: list[tuple[Any, ...]] = []
        condition = "" if head is None else " AND requests.head = ?"
        for some in batched(places, 500):
            query = (
                f"SELECT digest, {_OF_BRANCH} FROM requests JOIN branches ON id = branch"  # noqa: S608 - our words only
                f" WHERE digest IN ({_marks(len(some))}){condition}"
            )
            rows += self._open().execute(query, some if head is None else (*some, head))
        found = [Found(_branch(row[1:]), places[row[0]]) for row in rows]
        return max(found, key=lambda one: (one.known, one.branch.last_sent or 0), default=None)

    def save(self, branch: Branch, digest: bytes) -> bool:
        """See `Store`."""
        with self._change() as connection:
            done = connection.execute(
                f"INSERT INTO branches ({_COLUMNS}, used_at) VALUES ({_marks(9)})"  # noqa: S608 - question marks only
                " ON CONFLICT (id) DO UPDATE SET count = excluded.count, policy = excluded.policy,"
                " asks_hour = excluded.asks_hour, asked_at = excluded.asked_at,"
                " answered_at = max(coalesce(answered_at, excluded.answered_at), coalesce(excluded.answered_at,"
                " answered_at)), version = excluded.version, used_at = excluded.used_at"
                " WHERE version = excluded.version AND policy = excluded.policy OR version < excluded.version",
                (*_row(branch), self._clock()),
            )
            if not done.rowcount:
                return False
            connection.execute("INSERT OR REPLACE INTO requests VALUES (?, ?, ?)", (digest, branch.head, branch.id))
        self._saved += 1
        if self._saved % _TIDY_EVERY == 0:
            self._tidy(self._open())
        return True

    def settle(self, branch_id: str, asked_at: float, *, answered: bool) -> None:
        """See `Store`."""
        with self._change() as connection:
            if answered:
                connection.execute(
                    "UPDATE branches SET answered_at = max(coalesce(answered_at, ?1), ?1) WHERE id = ?2",
                    (asked_at, branch_id),
                )
            connection.execute(
                "UPDATE branches SET asked_at = NULL WHERE id = ? AND asked_at <= ?", (branch_id, asked_at)
            )

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._opened()
        return self._connection

    def _opened(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=_LOCK_SECONDS, check_same_thread=False, autocommit=True)
        try:
            # No request waits for a disk. A power failure may cost what is in the file, which is doubt and no harm.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = OFF")
            _make_tables(connection)
            self._tidy(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """One transaction; it takes the lock at its start, so that it cannot fail for coming second."""
        connection = self._open()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def _tidy(self, connection: sqlite3.Connection) -> None:
        """Give up what is old, and the oldest of what is too much."""
        given_up = connection.execute(
            "DELETE FROM branches WHERE used_at < ?1 OR used_at < (SELECT used_at FROM branches"
            " ORDER BY used_at DESC LIMIT 1 OFFSET ?2)",
            (self._clock() - _KEPT_SECONDS, _MOST_BRANCHES),
        )
        if given_up.rowcount:
            connection.execute("DELETE FROM requests WHERE branch NOT IN (SELECT id FROM branches)")


def _marks(count: int) -> str:
    return ",".join("?" * count)


def _make_tables(connection: sqlite3.Connection) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, _SCHEMA_VERSION):
        raise sqlite3.DatabaseError(f"made by another version of Foundry Compress, with schema {version}")
    if version == 0:
        connection.executescript(f"{_SCHEMA}PRAGMA user_version = {_SCHEMA_VERSION};")


def _branch(row: Sequence[Any]) -> Branch:
    found, head, count, policy, asks_hour, asked_at, answered_at, version = row
    return Branch(found, head, count, _policy(policy), bool(asks_hour), asked_at, answered_at, version)


def _row(branch: Branch) -> tuple[object, ...]:
    return (
        branch.id,
        branch.head,
        branch.count,
        json.dumps([branch.policy.raw, branch.policy.aside, branch.policy.rules], separators=(",", ":")),
        branch.asks_hour,
        branch.asked_at,
        branch.answered_at,
        branch.version,
    )


def _policy(text: str) -> Policy:
    try:
        raw, aside, rules = json.loads(text)
        return Policy(tuple((int(a), int(b)) for a, b in raw), tuple(Place(int(a), int(b)) for a, b in aside), rules)
    except (ValueError, TypeError) as error:
        raise sqlite3.DatabaseError("a policy that cannot be read") from error

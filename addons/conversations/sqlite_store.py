"""Branches in an SQLite file: hashes, policies and times, no content.

Several processes may share the file. Nothing in it is needed for a right answer.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import batched
from pathlib import Path
from typing import Any

from compression_engine import Place, Policy
from conversations import steady_clock
from conversations.branch import Branch, Cache, Found, Wanted
from sqlite_files import identity, make_private, transaction

__all__ = ["SQLiteStore"]

_SCHEMA_VERSION = 4
_SCHEMA = """
CREATE TABLE IF NOT EXISTS caches (
    id TEXT PRIMARY KEY,
    keeps REAL NOT NULL,
    asked TEXT NOT NULL,
    answered_at REAL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS branches (
    id TEXT PRIMARY KEY,
    head BLOB NOT NULL,
    count INTEGER NOT NULL,
    cache TEXT NOT NULL,
    policy TEXT NOT NULL,
    version INTEGER NOT NULL,
    holdout INTEGER NOT NULL,
    used_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS requests (
    digest BLOB NOT NULL,
    branch TEXT NOT NULL,
    PRIMARY KEY (digest, branch)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS requests_by_branch ON requests (branch);
"""
_FIND = (
    "SELECT digest, branches.id, head, count, policy, version, holdout, caches.id, keeps, asked, answered_at"
    " FROM requests JOIN branches ON branches.id = branch JOIN caches ON caches.id = cache WHERE digest IN "
)

_LOCK_SECONDS = 0.1
"""How long a request waits for another process that writes."""

_KEPT_SECONDS = 30 * 24 * 3600.0
_MOST_BRANCHES = 20_000
_TIDY_EVERY = 500
_NEAR = 8  # a conversation is mostly found among the last hashes of a request


class SQLiteStore:
    """A store in an SQLite file. Methods raise sqlite3.Error and OSError; for use by one thread at a time."""

    is_near = True

    def __init__(self, path: Path, clock: Callable[[], float] = steady_clock.now) -> None:
        self._path = path
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None  # which file is open
        self._saved = 0

    def find(self, digests: Sequence[bytes], head: bytes | None, wanted: Wanted | None = None) -> Found | None:
        """See `Store`."""
        near = max(0, len(digests) - _NEAR)
        for start, end in ((near, len(digests)), (0, near)):
            if found := self._find_between(digests, start, end, head, wanted):
                return found
        return None

    def _find_between(
        self, digests: Sequence[bytes], start: int, end: int, head: bytes | None, wanted: Wanted | None
    ) -> Found | None:
        places = {digest: number for number, digest in enumerate(digests[start:end], start + 1)}
        rows: list[tuple[Any, ...]] = []
        for some in batched(places, 500):
            rows += self._open().execute(f"{_FIND} ({_marks(len(some))})", some)
        found: list[Found] = []
        for digest, *row in sorted(rows, key=lambda row: places[row[0]], reverse=True):
            if found and places[digest] < found[0].known:
                break  # shorter ones need not be read
            branch = _branch(row)
            if (head is None or branch.head == head) and (wanted is None or wanted(branch)):
                found.append(Found(branch, places[digest]))
        return max(found, key=lambda one: one.branch.cache.last_sent or 0, default=None)

    def state(self) -> object:
        """Something that is another whenever anybody else has written to the file."""
        connection = self._open()
        # What a connection counts says nothing of what was written before it was opened, to this file or another one.
        return connection, connection.execute("PRAGMA data_version").fetchone()[0]

    def save(self, branch: Branch, digests: Sequence[bytes], known: int = 0) -> bool:
        """See `Store`."""
        cache = branch.cache
        with self._change() as connection:
            done = connection.execute(
                "INSERT INTO branches (id, head, count, cache, policy, version, holdout, used_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET count = excluded.count, cache = excluded.cache,"
                " policy = excluded.policy, version = excluded.version, used_at = excluded.used_at"
                " WHERE version < excluded.version",
                (
                    *(branch.id, branch.head, branch.count, cache.id, _text(branch.policy)),
                    *(branch.version, branch.holdout, self._clock()),
                ),
            )
            if not done.rowcount:
                return False
            if not connection.execute("SELECT 1 FROM caches WHERE id = ?", (cache.id,)).fetchone():
                known = 0
            connection.execute("INSERT OR REPLACE INTO caches VALUES (?, ?, ?, ?)", _row(cache))
            rows = ((digest, branch.id) for digest in digests[known:])
            connection.executemany("INSERT OR IGNORE INTO requests VALUES (?, ?)", rows)
        if self._saved % _TIDY_EVERY == 0:
            self._tidy(self._open())
        self._saved += 1
        return True

    def settle(self, cache_id: str, asked_at: float, *, answered: bool) -> None:
        """See `Store`."""
        with self._change() as connection:
            row = connection.execute("SELECT * FROM caches WHERE id = ?", (cache_id,)).fetchone()
            if row is not None:
                cache = _cache(row).settled(asked_at, answered=answered)
                connection.execute("INSERT OR REPLACE INTO caches VALUES (?, ?, ?, ?)", _row(cache))

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._file != identity(self._path):
            self.close()  # somebody deleted it, or put another in its place
        if self._connection is None:
            self._connection = self._opened()
            self._file = identity(self._path)
        return self._connection

    def _opened(self) -> sqlite3.Connection:
        make_private(self._path)
        connection = sqlite3.connect(self._path, timeout=_LOCK_SECONDS, check_same_thread=False, autocommit=True)
        try:
            # No request waits for a disk. A power failure may cost what is in the file, which is doubt and no harm.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = OFF")
            _make_tables(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """One transaction."""
        connection = self._open()
        with transaction(connection):
            yield connection

    def _tidy(self, connection: sqlite3.Connection) -> None:
        """Give up what is old, and the oldest of what is too much."""
        given_up = connection.execute(
            "DELETE FROM branches WHERE used_at < ? OR used_at < (SELECT used_at FROM branches"
            " ORDER BY used_at DESC LIMIT 1 OFFSET ?)",
            (self._clock() - _KEPT_SECONDS, _MOST_BRANCHES - 1),
        )
        if given_up.rowcount:
            connection.execute("DELETE FROM requests WHERE branch NOT IN (SELECT id FROM branches)")
        connection.execute("DELETE FROM caches WHERE id NOT IN (SELECT cache FROM branches)")


def _marks(count: int) -> str:
    return ",".join("?" * count)


def _make_tables(connection: sqlite3.Connection) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > _SCHEMA_VERSION:
        raise sqlite3.DatabaseError(f"made by a later version of Foundry Compress, with schema {version}")
    if version < _SCHEMA_VERSION:
        # What an earlier version remembered is forgotten: nothing in it is needed for a right answer.
        forget = "".join(f"DROP TABLE IF EXISTS {table};" for table in ("requests", "branches", "caches"))
        connection.executescript(
            f"BEGIN IMMEDIATE;{forget if version else ''}{_SCHEMA}PRAGMA user_version = {_SCHEMA_VERSION};COMMIT;"
        )


def _branch(row: Sequence[Any]) -> Branch:
    branch_id, head, count, policy, version, holdout, *cache = row
    return Branch(branch_id, head, count, _cache(cache), _policy(policy), version, bool(holdout))


def _row(cache: Cache) -> tuple[object, ...]:
    return cache.id, cache.keeps, json.dumps(cache.asked), cache.answered_at


def _cache(row: Sequence[Any]) -> Cache:
    cache_id, keeps, asked, answered_at = row
    try:
        return Cache(cache_id, float(keeps), tuple(float(at) for at in json.loads(asked)), answered_at)
    except (ValueError, TypeError) as error:
        raise sqlite3.DatabaseError("times that cannot be read") from error


def _text(policy: Policy) -> str:
    return json.dumps(policy, separators=(",", ":"))


def _policy(text: str) -> Policy:
    try:
        raw, aside, rules, work = json.loads(text)
        ranges = tuple((int(first), int(end)) for first, end in raw)
        places = tuple(Place(int(message), int(result)) for message, result in aside)
        return Policy(ranges, places, int(rules), int(work))
    except (ValueError, TypeError) as error:
        raise sqlite3.DatabaseError("a policy that cannot be read") from error

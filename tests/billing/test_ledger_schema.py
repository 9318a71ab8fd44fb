from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from billing.ledger_schema import MIGRATIONS, VERSION, LaterVersionError, NotALedgerError, check, migrate


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    made = sqlite3.connect(":memory:", autocommit=True)
    yield made
    made.close()


def version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _note_the_weather(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE requests ADD COLUMN weather TEXT NOT NULL DEFAULT 'fair'")


def _fail(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE requests ADD COLUMN half INTEGER")
    connection.execute("no such statement")


def test_an_empty_file_gets_the_newest_schema(connection: sqlite3.Connection) -> None:
    migrate(connection)
    assert version(connection) == VERSION == len(MIGRATIONS)
    migrate(connection)
    assert version(connection) == VERSION


@pytest.mark.parametrize("start", range(VERSION + 1))
def test_every_earlier_version_is_brought_up_and_keeps_its_requests(start: int, connection: sqlite3.Connection) -> None:
    migrate(connection, MIGRATIONS[:start])
    if start:
        names = [row[1] for row in connection.execute("PRAGMA table_info(requests)")]
        marks = ",".join("?" * len(names))
        connection.execute(f"INSERT INTO requests VALUES ({marks})", [7] * len(names))
    migrate(connection, (*MIGRATIONS, _note_the_weather))
    assert version(connection) == VERSION + 1
    found = connection.execute("SELECT at, weather FROM requests").fetchall()
    assert found == ([(7.0, "fair")] if start else [])


def test_a_step_that_fails_changes_nothing(connection: sqlite3.Connection) -> None:
    migrate(connection)
    before = connection.execute("SELECT sql FROM sqlite_master").fetchall()
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, (*MIGRATIONS, _fail))
    assert connection.execute("SELECT sql FROM sqlite_master").fetchall() == before
    assert version(connection) == VERSION


def test_a_later_version_is_refused(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(LaterVersionError):
        migrate(connection)


def test_a_file_tells_its_version(connection: sqlite3.Connection) -> None:
    assert check(connection) == 0
    migrate(connection)
    assert check(connection) == VERSION
    assert not connection.in_transaction


def test_a_later_version_is_told_of(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(LaterVersionError):
        check(connection)


@pytest.mark.parametrize("number", [0, VERSION])
def test_what_another_program_made_is_none(number: int, connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE requests (id INTEGER, at REAL)")
    connection.execute(f"PRAGMA user_version = {number}")
    with pytest.raises(NotALedgerError):
        check(connection)

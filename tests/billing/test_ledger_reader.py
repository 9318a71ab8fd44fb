from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing import ledger_reader
from billing.ledger import LEDGER_FILE, Ledger
from billing.ledger_reader import LedgerError, LedgerReader
from billing.ledger_rows import COLUMNS, row_of
from billing.ledger_schema import VERSION
from tests.billing.entries import entry
from tests.conversations.branches import Clock


def write(path: Path, *times: float) -> None:
    reports: list[str] = []
    ledger = Ledger(path, reports.append, clock=Clock())
    for at in times:
        ledger.add(entry(at))
    assert ledger.flush(60)  # `close` waits for two seconds only
    ledger.close()
    ledger._thread.join()
    assert not reports


NOW = Clock().now


def test_a_part_of_it_oldest_first(tmp_path: Path) -> None:
    write(tmp_path / LEDGER_FILE, NOW + 3, NOW + 1, NOW + 2)
    reader = LedgerReader(tmp_path / LEDGER_FILE)
    assert [one.at - NOW for one in reader.entries()] == [1, 2, 3]
    assert [one.at - NOW for one in reader.entries(NOW + 2)] == [2, 3]
    assert [one.at - NOW for one in reader.entries(until=NOW + 2)] == [1]
    reader.close()


def test_an_empty_one(tmp_path: Path) -> None:
    write(tmp_path / LEDGER_FILE, NOW - 1e9)  # too old to be kept
    reader = LedgerReader(tmp_path / LEDGER_FILE)
    assert list(reader.entries()) == []
    reader.close()


def test_none(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="There is no ledger at"):
        LedgerReader(tmp_path / LEDGER_FILE)


@pytest.mark.parametrize(
    ("version", "words"), [(VERSION + 1, "later version"), (-1, "earlier version"), (0, "another program")]
)
def test_another_version(version: int, words: str, tmp_path: Path) -> None:
    write(tmp_path / LEDGER_FILE, NOW)
    connection = sqlite3.connect(tmp_path / LEDGER_FILE)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    with pytest.raises(LedgerError, match=words):
        LedgerReader(tmp_path / LEDGER_FILE)


def test_one_that_is_just_being_made(tmp_path: Path) -> None:
    (tmp_path / LEDGER_FILE).touch()
    with pytest.raises(LedgerError, match="There is no ledger at"):
        LedgerReader(tmp_path / LEDGER_FILE)


def test_a_name_that_stands_for_something_else_in_an_address(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"a?b#c%20d\xff")
    write(odd / LEDGER_FILE, NOW)
    reader = LedgerReader(odd / LEDGER_FILE)
    assert [one.at for one in reader.entries()] == [NOW]
    reader.close()


def test_reading_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path / LEDGER_FILE, NOW)
    before = (tmp_path / LEDGER_FILE).read_bytes()
    reader = LedgerReader(tmp_path / LEDGER_FILE)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._connection.execute("DELETE FROM requests")
    reader.close()
    assert (tmp_path / LEDGER_FILE).read_bytes() == before


def test_what_is_written_meanwhile_is_seen(tmp_path: Path) -> None:
    write(tmp_path / LEDGER_FILE, NOW)
    reader = LedgerReader(tmp_path / LEDGER_FILE)
    write(tmp_path / LEDGER_FILE, NOW + 1)
    assert [one.at for one in reader.entries()] == [NOW, NOW + 1]
    reader.close()


def test_a_locked_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_reader, "_LOCK_SECONDS", 0.01)
    write(tmp_path / LEDGER_FILE, NOW)
    other = sqlite3.connect(tmp_path / LEDGER_FILE, autocommit=True)
    other.execute("PRAGMA journal_mode = DELETE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LedgerError, match=r"locked the ledger .*: try again"):
        LedgerReader(tmp_path / LEDGER_FILE)
    other.close()


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    (tmp_path / LEDGER_FILE).mkdir()
    with pytest.raises(LedgerError, match=r"cannot be opened: .*you may read"):
        LedgerReader(tmp_path / LEDGER_FILE)


def test_a_folder_that_may_not_be_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", refuse)  # root may enter any
    with pytest.raises(LedgerError, match=r"cannot be opened: .*you may read"):
        LedgerReader(tmp_path / LEDGER_FILE)


def test_what_is_no_ledger(tmp_path: Path) -> None:
    (tmp_path / LEDGER_FILE).write_bytes(b"something else" * 99)
    with pytest.raises(LedgerError, match="cannot be read"):
        LedgerReader(tmp_path / LEDGER_FILE)


def change(path: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(path, autocommit=True)
    connection.execute(statement, values)
    connection.close()


def test_a_row_that_cannot_be_read_costs_that_one_request(tmp_path: Path) -> None:
    path = tmp_path / LEDGER_FILE
    write(path, NOW, NOW + 1, NOW + 2)
    change(path, "UPDATE requests SET ending = 'of another kind' WHERE at = ?", NOW + 1)
    reader = LedgerReader(path)
    for _ in range(2):  # and is counted once each time
        assert [one.at for one in reader.entries()] == [NOW, NOW + 2]
        assert reader.unreadable == 1
    assert [one.at for one in reader.entries(NOW + 2)] == [NOW + 2]
    assert reader.unreadable == 0
    reader.close()


VALUES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=9) | st.binary()


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """A ledger of two requests."""
    path = tmp_path_factory.mktemp("of-two") / LEDGER_FILE
    write(path, NOW, NOW + 1)
    with closing(sqlite3.connect(path, autocommit=True)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        yield connection


@given(st.sampled_from(COLUMNS), VALUES | st.sampled_from(["[", "{}", "[[]]", "[[1]]", "[" * 99_999]))
def test_whatever_stands_in_a_row_the_others_are_read(of_two: sqlite3.Connection, column: str, value: object) -> None:
    of_two.execute("DELETE FROM requests WHERE id = 3")
    of_two.execute("INSERT INTO requests SELECT 3, " + ", ".join(COLUMNS) + " FROM requests WHERE id = 1")
    with suppress(sqlite3.IntegrityError):  # most columns take no NULL
        of_two.execute(f"UPDATE requests SET {column} = ? WHERE id = 3", [value])
    path = Path(of_two.execute("PRAGMA database_list").fetchone()[2])
    with closing(LedgerReader(path)) as reader:
        read = list(reader.entries())
        assert len(read) + reader.unreadable == 3 or column == "at"  # what has no place in time is in no time
        assert {NOW, NOW + 1} <= {one.at for one in read}
        assert all(map(row_of, read))


def test_text_that_is_none_costs_a_character(tmp_path: Path) -> None:
    path = tmp_path / LEDGER_FILE
    write(path, NOW)
    change(path, "UPDATE requests SET model = CAST(? AS TEXT)", b"clau\xffde")
    reader = LedgerReader(path)
    assert [one.model for one in reader.entries()] == ["clau\ufffdde"]
    reader.close()

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from billing import ledger_reader
from billing.ledger import LEDGER_FILE, Ledger
from billing.ledger_reader import LedgerError, LedgerReader
from billing.ledger_schema import VERSION
from tests.billing.entries import entry
from tests.conversations.branches import Clock


def write(path: Path, *times: float) -> None:
    def fail(reason: str) -> None:
        raise AssertionError(reason)

    ledger = Ledger(path, fail, clock=Clock())
    for at in times:
        ledger.add(entry(at))
    ledger.close()


NOW = Clock().now


def test_a_part_of_it_oldest_first(tmp_path: Path) -> None:
    write(tmp_path / LEDGER_FILE, NOW + 3, NOW + 1, NOW + 2)
    reader = LedgerReader(tmp_path / LEDGER_FILE)
    assert [one.at - NOW for one in reader.entries()] == [1, 2, 3]
    assert [one.at - NOW for one in reader.entries(NOW + 2)] == [2, 3]
    assert [one.at - NOW for one in reader.entries(until=NOW + 2)] == [1]
    assert reader.last_at() == NOW + 3
    reader.close()


def test_an_empty_one(tmp_path: Path) -> None:
    write(tmp_path / LEDGER_FILE, NOW - 1e9)  # too old to be kept
    reader = LedgerReader(tmp_path / LEDGER_FILE)
    assert (list(reader.entries()), reader.last_at()) == ([], None)
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
    assert reader.last_at() == NOW
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
    assert reader.last_at() == NOW + 1
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


def test_a_row_that_cannot_be_read(tmp_path: Path) -> None:
    write(tmp_path / LEDGER_FILE, NOW)
    connection = sqlite3.connect(tmp_path / LEDGER_FILE)
    connection.execute("UPDATE requests SET ending = 'of another kind'")
    connection.commit()
    connection.close()
    reader = LedgerReader(tmp_path / LEDGER_FILE)
    with pytest.raises(LedgerError, match="cannot be read"):
        list(reader.entries())
    reader.close()

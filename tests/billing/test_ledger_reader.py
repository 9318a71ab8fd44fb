from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

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
    ("version", "words"), [(VERSION + 1, "later version"), (-1, "earlier version"), (0, "no ledger")]
)
def test_another_version(version: int, words: str, tmp_path: Path) -> None:
    write(tmp_path / LEDGER_FILE, NOW)
    connection = sqlite3.connect(tmp_path / LEDGER_FILE)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    with pytest.raises(LedgerError, match=words):
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

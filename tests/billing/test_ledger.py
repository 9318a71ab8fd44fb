from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from billing import ledger as ledger_module
from billing.entry import Entry
from billing.ledger import LEDGER_FILE, Ledger
from billing.ledger_reader import LedgerError, LedgerReader
from tests.billing.entries import entry
from tests.conversations.branches import Clock

DAY = 24 * 3600.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / LEDGER_FILE


@pytest.fixture
def reports() -> list[str]:
    return []


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "_LOCK_SECONDS", 0.05)
    monkeypatch.setattr(ledger_module, "_REST_SECONDS", 0.05)
    monkeypatch.setattr(ledger_module, "_GATHER_SECONDS", 0.02)
    monkeypatch.setattr(ledger_module, "_CLOSE_SECONDS", 0.3)


@pytest.fixture
def ledger(path: Path, clock: Clock, reports: list[str]) -> Iterator[Ledger]:
    made = Ledger(path, reports.append, clock=clock)
    yield made
    made.close()


def read(path: Path) -> list[Entry]:
    reader = LedgerReader(path)
    found = list(reader.entries())
    reader.close()
    return found


def some(count: int, clock: Clock, start: float = 0.0) -> list[Entry]:
    return [entry(clock.now + start + number, conversation=f"{number}") for number in range(count)]


def test_what_is_added_is_in_the_file(ledger: Ledger, path: Path, clock: Clock) -> None:
    entries = some(5, clock)
    for one in entries:
        ledger.add(one)
    assert ledger.flush(5)
    assert read(path) == entries


def test_it_is_written_without_being_asked(ledger: Ledger, path: Path, clock: Clock) -> None:
    ledger.add(entry(clock.now))
    end = time.monotonic() + 5
    while True:
        with suppress(LedgerError):  # it is just being made
            if read(path):
                break
        assert time.monotonic() < end
        time.sleep(0.01)


def test_closing_writes_what_is_there_and_takes_no_more(path: Path, clock: Clock, reports: list[str]) -> None:
    ledger = Ledger(path, reports.append, clock=clock)
    ledger.add(entry(clock.now))
    ledger.close()
    ledger.close()
    ledger.add(entry(clock.now))
    assert (len(read(path)), ledger.lost) == (1, 1)


def test_only_its_user_can_read_it(ledger: Ledger, path: Path, clock: Clock) -> None:
    ledger.add(entry(clock.now))
    assert ledger.flush(5)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_two_proxies_write_into_one_file(path: Path, clock: Clock, reports: list[str]) -> None:
    both = [Ledger(path, reports.append, clock=clock) for _ in range(2)]
    for number, one in enumerate(some(400, clock)):
        both[number % 2].add(one)
    assert all(ledger.flush(10) for ledger in both)
    for ledger in both:
        ledger.close()
    assert read(path) == some(400, clock)


# Bounds


def test_what_is_old_goes(path: Path, clock: Clock, reports: list[str]) -> None:
    ledger = Ledger(path, reports.append, keep_days=10, clock=clock)
    ledger.add(entry(clock.now - 11 * DAY))
    ledger.add(entry(clock.now - 9 * DAY))
    ledger.close()
    assert [one.at for one in read(path)] == [clock.now - 9 * DAY]


def test_the_file_stays_within_its_bound_and_keeps_the_newest(path: Path, clock: Clock, reports: list[str]) -> None:
    ledger = Ledger(path, reports.append, keep_mb=1, clock=clock)
    for start in range(0, 9_000, 3_000):
        for one in some(3_000, clock, start):
            ledger.add(one)
        assert ledger.flush(20)
    ledger.close()
    found = read(path)
    assert path.stat().st_size < 1.5 * 1024 * 1024
    assert 1_000 < len(found) < 9_000
    assert found[-1].at == clock.now + 8_999
    assert not reports


def test_so_many_wait_and_no_more(
    path: Path, clock: Clock, reports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_MOST_WAITING", 10)
    path.parent.mkdir()
    path.mkdir()  # what cannot be a file
    ledger = Ledger(path, reports.append, clock=clock)
    entries = some(25, clock)
    for one in entries:
        ledger.add(one)
    assert not ledger.flush(0.2)
    assert ledger.lost == 15
    path.rmdir()
    assert ledger.flush(5)
    ledger.close()
    assert read(path) == entries[15:]
    assert reports


# Faults


def test_a_locked_file_is_waited_for(ledger: Ledger, path: Path, clock: Clock, reports: list[str]) -> None:
    ledger.add(entry(clock.now))
    assert ledger.flush(5)
    other = sqlite3.connect(path, autocommit=True)
    other.execute("BEGIN IMMEDIATE")
    ledger.add(entry(clock.now + 1))
    assert not ledger.flush(0.3)
    assert reports
    other.execute("COMMIT")
    other.close()
    assert ledger.flush(5)
    assert len(read(path)) == 2


def test_a_full_disk_is_waited_for(
    ledger: Ledger, path: Path, clock: Clock, reports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_ledger: Ledger, _rows: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "_insert", full)
        ledger.add(entry(clock.now))
        assert not ledger.flush(0.2)
    assert ledger.flush(5)
    assert len(read(path)) == 1
    assert reports[0] == "database or disk is full"


def test_a_deleted_file_is_made_again(ledger: Ledger, path: Path, clock: Clock) -> None:
    ledger.add(entry(clock.now))
    assert ledger.flush(5)
    for file in path.parent.iterdir():
        file.unlink()
    path.parent.rmdir()
    ledger.add(entry(clock.now + 1))
    assert ledger.flush(5)
    assert [one.at for one in read(path)] == [clock.now + 1]


@pytest.mark.parametrize("content", [b"this is no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_what_is_no_ledger_is_kept_beside_a_new_one(
    ledger: Ledger, path: Path, clock: Clock, reports: list[str], content: bytes
) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    ledger.add(entry(clock.now))
    assert ledger.flush(5)
    assert len(read(path)) == 1
    (kept,) = path.parent.glob("*.broken-*")
    assert kept.read_bytes() == content
    assert reports


def test_a_ledger_of_a_later_version_is_left_alone(
    ledger: Ledger, path: Path, clock: Clock, reports: list[str]
) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    ledger.add(entry(clock.now))
    assert not ledger.flush(0.3)
    assert path.read_bytes() == before
    assert "later version" in reports[0]


def test_an_entry_that_is_none_costs_no_other(ledger: Ledger, path: Path, clock: Clock, reports: list[str]) -> None:
    bad: Any = object()
    ledger.add(bad)
    assert ledger.flush(5)
    ledger.add(entry(clock.now))
    assert ledger.flush(5)
    assert len(read(path)) == 1
    assert reports == ["AttributeError"]


_WRITER = """
import sys, time
from pathlib import Path
from billing.ledger import Ledger
from tests.billing.entries import entry
ledger = Ledger(Path(sys.argv[1]), print)
print("writing", flush=True)
number = 0
while True:
    ledger.add(entry(time.time(), conversation=str(number)))
    number += 1
    time.sleep(0.0005)
"""


@pytest.mark.slow
def test_a_proxy_that_is_killed_leaves_a_whole_file(path: Path) -> None:
    project = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(project / "addons"), str(project)])}
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], env=environment, stdout=subprocess.PIPE)
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        time.sleep(1.2)
        writer.kill()
        writer.wait()
        writer.stdout.close()
    found = read(path)
    assert len(found) > 100
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from billing import ledger as ledger_module
from billing import ledger_file
from billing.entry import Change, Entry
from billing.ledger import LEDGER_FILE, Ledger
from billing.ledger_file import LedgerFile
from billing.ledger_reader import LedgerError, LedgerReader
from tests.billing.entries import entry
from tests.conversations.branches import Clock
from tests.e2e.mitmdump import wait_for

DAY = 24 * 3600.0
LONG = 60.0
"""Seconds that nobody waits for but where something is broken, however busy the machine is."""


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
    monkeypatch.setattr(ledger_file, "_LOCK_SECONDS", 0.05)
    for name in ("_REST_SECONDS", "_SHORT_REST_SECONDS"):
        monkeypatch.setattr(ledger_module, name, 0.02)
    monkeypatch.setattr(ledger_module, "_GATHER_SECONDS", 0.02)
    monkeypatch.setattr(ledger_module, "_CLOSE_SECONDS", LONG)
    monkeypatch.setattr(ledger_module, "_IDLE_SECONDS", 10 * LONG)  # but where a test waits for that


@pytest.fixture
def ledger(path: Path, clock: Clock, reports: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    made = Ledger(path, reports.append, clock=clock)
    yield made
    monkeypatch.setattr(ledger_module, "_CLOSE_SECONDS", 0.3)  # for what cannot be written
    made.close()


def read(path: Path) -> list[Entry]:
    reader = LedgerReader(path)
    found = list(reader.entries())
    reader.close()
    return found


def is_there(path: Path, count: int) -> bool:
    """Whether the file has at least so many entries."""
    try:
        return len(read(path)) >= count
    except LedgerError:  # it is just being made
        return False


def is_idle(ledger: Ledger) -> bool:
    """Whether the writing thread waits for entries. After a flush it may still be looking how large the file is."""
    return bool(ledger._changed._waiters)  # type: ignore[attr-defined]


def waits_until(ledger: Ledger, condition: Callable[[], object]) -> bool:
    """Whether nothing is written before `condition` holds, which comes true in time."""
    end = time.monotonic() + LONG
    while not condition():
        if ledger.flush(0.1) or time.monotonic() > end:
            return False
    return not ledger.flush(0.0)


def some(count: int, clock: Clock, start: float = 0.0) -> list[Entry]:
    return [entry(clock.now + start + number, conversation=f"{number}") for number in range(count)]


def test_what_is_added_is_in_the_file(ledger: Ledger, path: Path, clock: Clock) -> None:
    entries = some(5, clock)
    for one in entries:
        ledger.add(one)
    assert ledger.flush(LONG)
    assert read(path) == entries


def test_it_is_written_without_being_asked(ledger: Ledger, path: Path, clock: Clock) -> None:
    ledger.add(entry(clock.now))
    assert wait_for(lambda: is_there(path, 1), LONG)


def test_closing_writes_what_is_there_and_takes_no_more(path: Path, clock: Clock, reports: list[str]) -> None:
    ledger = Ledger(path, reports.append, clock=clock)
    ledger.add(entry(clock.now))
    ledger.close()
    ledger.close()
    ledger.add(entry(clock.now))
    assert (len(read(path)), ledger.lost) == (1, 1)


def test_only_its_user_can_read_it(ledger: Ledger, path: Path, clock: Clock) -> None:
    ledger.add(entry(clock.now))
    assert ledger.flush(LONG)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_two_proxies_write_into_one_file(path: Path, clock: Clock, reports: list[str]) -> None:
    both = [Ledger(path, reports.append, clock=clock) for _ in range(2)]
    for number, one in enumerate(some(400, clock)):
        both[number % 2].add(one)
    assert all(ledger.flush(LONG) for ledger in both)
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
        assert ledger.flush(LONG)
    ledger.close()
    ledger._thread.join()
    found = read(path)
    assert path.stat().st_size < 1.5 * 1024 * 1024
    assert 1_000 < len(found) < 9_000
    assert found[-1].at == clock.now + 8_999
    assert not reports


def test_so_many_wait_and_no_more(
    path: Path, clock: Clock, reports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_MOST_WAITING", 10)
    monkeypatch.setattr(ledger_module, "_GATHER_SECONDS", LONG)  # none is taken before all have come
    path.parent.mkdir()
    path.mkdir()  # what cannot be a file
    ledger = Ledger(path, reports.append, clock=clock)
    entries = some(25, clock)
    for one in entries:
        ledger.add(one)
    assert ledger.lost == 15
    told = "more than 10 entries wait, and the oldest are given up"
    assert waits_until(ledger, lambda: told in reports)
    assert (ledger.lost, reports.count(told)) == (15, 1)
    path.rmdir()
    assert ledger.flush(LONG)
    ledger.close()
    assert read(path) == entries[15:]


def test_what_could_not_be_written_stays_before_what_came_since(
    path: Path, clock: Clock, reports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_MOST_WAITING", 3)
    monkeypatch.setattr(Ledger, "_run", lambda _self: None)  # nobody takes any
    ledger = Ledger(path, reports.append, clock=clock)
    *batch, last = some(4, clock)
    ledger.add(last)
    ledger._failed(batch, OSError())
    assert list(ledger._waiting) == [*batch[1:], last]
    assert ledger.lost == 1


# Faults


def test_a_locked_file_is_waited_for(ledger: Ledger, path: Path, clock: Clock, reports: list[str]) -> None:
    ledger.add(entry(clock.now))
    assert ledger.flush(LONG)
    other = sqlite3.connect(path, autocommit=True)
    other.execute("BEGIN IMMEDIATE")
    ledger.add(entry(clock.now + 1))
    assert waits_until(ledger, lambda: reports)
    other.execute("COMMIT")
    other.close()
    assert ledger.flush(LONG)
    assert len(read(path)) == 2


def test_a_full_disk_is_waited_for(
    ledger: Ledger, path: Path, clock: Clock, reports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = ledger_file._connect

    def with_little_room(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.execute("PRAGMA max_page_count = 12")
        return connection

    entries = some(500, clock)
    with monkeypatch.context() as patch:
        patch.setattr(ledger_file, "_connect", with_little_room)
        for one in entries:
            ledger.add(one)
        assert waits_until(ledger, lambda: reports)
    assert ledger.flush(LONG)
    assert read(path) == entries
    assert set(reports) == {"database or disk is full"}


def test_a_file_that_may_only_be_read_is_waited_for(
    ledger: Ledger, path: Path, clock: Clock, reports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def to_read(path: Path) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{path}?mode=ro", uri=True, autocommit=True)

    entries = some(2, clock)
    ledger.add(entries[0])
    assert ledger.flush(LONG)
    assert wait_for(lambda: is_idle(ledger), LONG)
    with monkeypatch.context() as patch:
        patch.setattr(ledger_file, "_connect", to_read)
        ledger._file._file = None  # it is opened anew
        ledger.add(entries[1])
        assert waits_until(ledger, lambda: reports)
    assert ledger.flush(LONG)
    assert read(path) == entries
    assert "readonly" in reports[0]


def test_a_folder_that_cannot_be_made_is_waited_for(
    ledger: Ledger, path: Path, clock: Clock, reports: list[str]
) -> None:
    path.parent.write_text("a file")
    ledger.add(entry(clock.now))
    assert waits_until(ledger, lambda: reports)
    assert set(reports) == {"File exists"}
    path.parent.unlink()
    assert ledger.flush(LONG)
    assert len(read(path)) == 1


def test_a_failure_that_passes_is_not_told(
    ledger: Ledger, path: Path, clock: Clock, reports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write, failures = LedgerFile.write, [sqlite3.OperationalError("database is locked")]

    def fail_once(file: LedgerFile, rows: list[tuple[object, ...]]) -> int:
        if failures:
            raise failures.pop()
        return write(file, rows)

    monkeypatch.setattr(LedgerFile, "write", fail_once)
    ledger.add(entry(clock.now))
    assert ledger.flush(LONG)
    assert len(read(path)) == 1
    assert not reports


def test_what_fails_after_entries_are_written_does_not_write_them_twice(
    ledger: Ledger, path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_file: LedgerFile) -> None:
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(LedgerFile, "bound", fail)
    for one in some(3, clock):
        ledger.add(one)
        assert ledger.flush(LONG)
    assert read(path) == some(3, clock)


def test_what_is_not_foreseen_costs_only_what_it_meets(
    ledger: Ledger, path: Path, clock: Clock, reports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_file: LedgerFile, _rows: object) -> int:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(LedgerFile, "write", fail)
        ledger.add(entry(clock.now))
        assert ledger.flush(LONG)
    ledger.add(entry(clock.now + 1))
    assert ledger.flush(LONG)
    assert [one.at for one in read(path)] == [clock.now + 1]
    assert (ledger.lost, reports) == (1, ["ZeroDivisionError"])


def test_a_report_that_fails_harms_nothing(path: Path, clock: Clock) -> None:
    def fail(_reason: str) -> None:
        raise RuntimeError

    ledger = Ledger(path, fail, clock=clock)
    bad: Any = object()
    ledger.add(bad)
    ledger.add(entry(clock.now))
    assert ledger.flush(LONG)
    ledger.close()
    assert len(read(path)) == 1


def test_what_is_not_written_at_the_end_is_counted(
    path: Path, clock: Clock, reports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_CLOSE_SECONDS", 0.2)
    path.mkdir(parents=True)  # what cannot be a file
    ledger = Ledger(path, reports.append, clock=clock)
    for one in some(3, clock):
        ledger.add(one)
    ledger.close()
    ledger._thread.join()
    assert ledger.lost == 3


def test_when_nothing_comes_the_file_is_whole_by_itself(
    ledger: Ledger, path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    folded = threading.Event()
    fold = LedgerFile.fold

    def note(file: LedgerFile) -> None:
        fold(file)
        folded.set()

    monkeypatch.setattr(LedgerFile, "fold", note)
    monkeypatch.setattr(ledger_module, "_IDLE_SECONDS", 0.01)
    ledger.add(entry(clock.now))
    assert folded.wait(LONG)
    assert path.with_name(path.name + "-wal").stat().st_size == 0


def test_a_deleted_file_is_made_again(ledger: Ledger, path: Path, clock: Clock) -> None:
    ledger.add(entry(clock.now))
    assert ledger.flush(LONG)
    assert wait_for(lambda: is_idle(ledger), LONG)
    for file in path.parent.iterdir():
        file.unlink()
    path.parent.rmdir()
    ledger.add(entry(clock.now + 1))
    assert ledger.flush(LONG)
    assert [one.at for one in read(path)] == [clock.now + 1]


@pytest.mark.parametrize("content", [b"this is no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_what_is_no_ledger_is_kept_beside_a_new_one(
    ledger: Ledger, path: Path, clock: Clock, reports: list[str], content: bytes
) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    ledger.add(entry(clock.now))
    assert ledger.flush(LONG)
    assert len(read(path)) == 1
    (kept,) = path.parent.glob("*.broken-*")
    assert kept.read_bytes() == content
    assert reports


def test_a_ledger_of_a_later_version_is_left_alone(
    ledger: Ledger, path: Path, clock: Clock, reports: list[str]
) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    ledger.add(entry(clock.now))
    assert waits_until(ledger, lambda: reports)
    assert path.read_bytes() == before
    assert "later version" in reports[0]
    assert ledger.lost == 0


def test_an_entry_that_is_none_costs_no_other(ledger: Ledger, path: Path, clock: Clock, reports: list[str]) -> None:
    none: Any = None
    bad: list[Any] = [
        object(),
        entry(deployment=none),
        entry(model=object()),
        entry(changes=(none,)),
        entry(gap=object()),
        entry(changes=(Change("Read", "numbered", 10**5000, 1, 1),)),
    ]
    good = some(len(bad) + 1, clock)
    for one, other in zip(good, bad, strict=False):
        ledger.add(one)
        ledger.add(other)
    ledger.add(good[-1])
    assert ledger.flush(LONG)
    assert read(path) == good
    assert ledger.lost == len(bad)
    assert set(reports) == {"an entry that cannot be written"}


_WRITER = """
import sys, time
from pathlib import Path
from billing import ledger as ledger_module
from billing.ledger import Ledger
from tests.billing.entries import entry
ledger_module._GATHER_SECONDS = 0.0  # it is always at it
ledger = Ledger(Path(sys.argv[1]), print)
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
    for times in range(1, 4):
        writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], env=environment)
        try:
            assert wait_for(lambda most=300 * times: is_there(path, most), LONG)  # type: ignore[misc]
        finally:
            writer.kill()
            writer.wait()
    assert is_there(path, 900)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


_TWO = """
import sys, time
from pathlib import Path
from billing import ledger as ledger_module
from billing.ledger import Ledger
from tests.billing.entries import entry
ledger_module._IDLE_SECONDS = 600.0
ledger = Ledger(Path(sys.argv[1]), print)
for line in sys.stdin:
    for number in range(100):
        ledger.add(entry(time.time() + number, conversation=line.strip()))
    written = ledger.flush(60)
    while not ledger._changed._waiters:  # see `is_idle`
        time.sleep(0.01)
    print(written, ledger.lost, flush=True)
ledger.close()
"""


@pytest.mark.slow
@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_is_moved_away_under_two_proxies(path: Path, *, replaced: bool) -> None:
    project = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(project / "addons"), str(project)])}
    proxies = [
        subprocess.Popen(
            [sys.executable, "-c", _TWO, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        for _ in range(2)
    ]

    def write(number: int, name: str) -> None:
        given, said = proxies[number].stdin, proxies[number].stdout
        assert given is not None
        assert said is not None
        given.write(f"{name}\n")
        given.flush()
        assert said.readline() == "True 0\n"

    write(0, "a")
    write(1, "b")
    moved = path.with_name("moved.sqlite3")
    path.rename(moved)
    if replaced:
        ledger = Ledger(path.with_name("other.sqlite3"), print)
        ledger.add(entry(time.time(), conversation="other"))
        ledger.close()
        ledger._thread.join()
        path.with_name("other.sqlite3").rename(path)
    write(1, "c")
    write(0, "d")
    write(1, "e")
    for proxy in proxies:
        assert proxy.communicate()[0] == ""
    assert Counter(one.conversation for one in read(moved)) == {"a": 100, "b": 100}
    expected = {"c": 100, "d": 100, "e": 100} | ({"other": 1} if replaced else {})
    assert Counter(one.conversation for one in read(path)) == expected
    assert not list(path.parent.glob("*.broken-*"))

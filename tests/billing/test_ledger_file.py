from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.entry import Entry
from billing.ledger import LEDGER_FILE
from billing.ledger_file import LedgerFile
from billing.ledger_reader import LedgerReader
from billing.ledger_rows import COLUMNS, row_of
from tests.billing.entries import ENTRIES, entry
from tests.conversations.branches import Clock

DAY = 24 * 3600.0
MB = 1024 * 1024


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / LEDGER_FILE


@pytest.fixture
def file(path: Path, clock: Clock) -> Iterator[LedgerFile]:
    made = LedgerFile(path, 90, 1, clock)
    yield made
    made.close()


def rows(count: int, clock: Clock, start: int = 0) -> list[tuple[object, ...]]:
    return [row_of(entry(clock.now + start + number)) for number in range(count)]


def read(path: Path) -> list[Entry]:
    with closing(LedgerReader(path)) as reader:
        return list(reader.entries())


def times(path: Path, clock: Clock) -> list[float]:
    return [one.at - clock.now for one in read(path)]


def pages(path: Path, name: str = "page_count") -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


@given(st.lists(ENTRIES, max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
def test_entries_come_back_in_the_order_of_their_time(tmp_path: Path, entries: list[Entry]) -> None:
    path = tmp_path / LEDGER_FILE
    path.unlink(missing_ok=True)
    file = LedgerFile(path, 90, 1, lambda: 0.0)
    assert file.write([row_of(one) for one in entries]) == 0
    file.close()
    assert read(path) == sorted(entries, key=lambda one: one.at)


def test_a_row_that_is_none_is_left_out_alone(file: LedgerFile, path: Path, clock: Clock) -> None:
    good = rows(4, clock)
    surrogate = "\ud800"
    bad: list[tuple[Any, ...]] = [(None, *good[0][1:]), (object(), *good[0][1:]), (2**70, *good[0][1:]), (1.0,)]
    bad.append((1.0, surrogate, *good[0][2:]))
    assert file.write([good[0], *bad[:2], good[1], *bad[2:4], good[2], bad[4], good[3]]) == len(bad)
    assert times(path, clock) == [0, 1, 2, 3]


def test_rows_are_written_together_or_not_at_all(file: LedgerFile, path: Path, clock: Clock) -> None:
    file.write(rows(1, clock))
    connection = file._connection
    assert connection is not None
    limit = pages(path) + 2
    connection.execute(f"PRAGMA max_page_count = {limit}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        file.write(rows(500, clock, 1))
    assert times(path, clock) == [0]
    file.write(rows(500, clock, 1))  # by a connection that has no limit
    assert len(read(path)) == 501


# Bounds


def test_what_is_old_goes_with_every_writing(file: LedgerFile, path: Path, clock: Clock) -> None:
    file.write(rows(3, clock))
    clock.now += 90 * DAY + 1.5
    file.write(rows(1, clock))
    assert times(path, clock) == [2 - 90 * DAY - 1.5, 0]


def test_the_file_gives_room_back(path: Path, clock: Clock) -> None:
    generous = LedgerFile(path, 90, 100, clock)
    generous.write(rows(20_003, clock))
    generous.close()
    assert path.stat().st_size > 2 * MB
    strict = LedgerFile(path, 90, 1, clock)
    strict.bound()
    assert path.stat().st_size <= 1 * MB
    assert path.with_name(path.name + "-wal").stat().st_size == 0
    strict.close()
    assert pages(path, "freelist_count") == 0
    found = times(path, clock)
    assert found == list(range(20_003 - len(found), 20_003))
    assert len(found) > 2_000


def test_what_is_not_too_large_is_left_alone(file: LedgerFile, path: Path, clock: Clock) -> None:
    file.write(rows(1_000, clock))
    file.bound()
    assert len(read(path)) == 1_000


def test_a_file_that_cannot_shrink_keeps_its_bound_by_using_room_again(path: Path, clock: Clock) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA auto_vacuum = NONE")
        connection.execute("VACUUM")
    file = LedgerFile(path, 90, 1, clock)
    for start in range(0, 20_000, 1_000):
        file.write(rows(1_000, clock, start))
        file.bound()
    file.close()
    assert path.stat().st_size < 1.5 * MB
    assert times(path, clock)[-1] == 19_999


def test_folding_brings_everything_into_the_one_file(
    file: LedgerFile, path: Path, clock: Clock, tmp_path: Path
) -> None:
    file.write(rows(3, clock))
    file.fold()
    (tmp_path / "copy").write_bytes(path.read_bytes())
    assert times(tmp_path / "copy", clock) == [0, 1, 2]


def test_folding_makes_no_file(file: LedgerFile, path: Path, clock: Clock) -> None:
    file.fold()
    assert not path.parent.exists()
    file.write(rows(1, clock))
    path.unlink()
    file.fold()
    assert not path.exists()


# Files that are replaced


def test_what_was_written_last_goes_with_a_file_that_is_moved_away(
    file: LedgerFile, path: Path, clock: Clock, tmp_path: Path
) -> None:
    file.write(rows(3, clock))
    path.rename(tmp_path / "moved")
    file.write(rows(1, clock, 3))
    assert times(tmp_path / "moved", clock) == [0, 1, 2]
    assert times(path, clock) == [3]


def test_what_was_written_last_does_not_come_into_another_file(
    file: LedgerFile, path: Path, clock: Clock, tmp_path: Path
) -> None:
    other = LedgerFile(tmp_path / "other", 90, 1, clock)
    other.write(rows(2, clock, 10))
    other.close()
    file.write(rows(300, clock, 100))
    (tmp_path / "other").rename(path)
    file.write(rows(1, clock, 20))
    assert times(path, clock) == [10, 11, 20]


# Files that are broken


def broken(file: LedgerFile, clock: Clock) -> sqlite3.DatabaseError:
    with pytest.raises(sqlite3.DatabaseError) as caught:
        file.write(rows(1, clock))
    return caught.value


def test_a_broken_file_gets_another_name_each_time(file: LedgerFile, path: Path, clock: Clock) -> None:
    path.parent.mkdir()
    for content in (b"first" * 100, b"second" * 100):
        path.write_bytes(content)
        assert file.set_aside(broken(file, clock)) is not None
    file.write(rows(1, clock))
    assert len(read(path)) == 1
    kept = sorted(path.parent.glob("*.broken-*"))
    assert [one.read_bytes() for one in kept] == [b"first" * 100, b"second" * 100]


def test_of_broken_files_the_last_three_are_kept(file: LedgerFile, path: Path, clock: Clock) -> None:
    path.parent.mkdir()
    other = path.parent / "notes.broken-1"
    other.touch()
    for number in range(5):
        path.write_bytes(b"%d" % number * 100)
        if number == 1:  # what SQLite kept beside it goes where the file goes
            Path(f"{path}-wal").write_bytes(b"beside")
        assert file.set_aside(broken(file, clock)) is not None
        clock.now += 1
    kept = sorted(path.parent.glob(f"{path.name}.broken-*"))
    assert [one.read_bytes()[:1] for one in kept] == [b"2", b"3", b"4"]
    assert other.exists()


def test_a_page_that_is_broken_later_on(file: LedgerFile, path: Path, clock: Clock) -> None:
    file.write(rows(2_000, clock))
    file.close()
    size = pages(path, "page_size")
    content = path.read_bytes()
    path.write_bytes(content[:size] + b"\xff" * (len(content) - size))
    assert file.set_aside(broken(file, clock)) is not None
    file.write(rows(1, clock))
    assert times(path, clock) == [0]


def test_what_another_proxy_has_set_aside_and_begun_anew_is_left_alone(
    file: LedgerFile, path: Path, clock: Clock
) -> None:
    path.parent.mkdir()
    path.write_bytes(b"broken" * 100)
    other = LedgerFile(path, 90, 1, clock)
    error = broken(file, clock)
    assert other.set_aside(broken(other, clock)) is not None
    other.write(rows(1, clock))
    assert file.set_aside(error) is None
    file.write(rows(1, clock, 1))
    assert times(path, clock) == [0, 1]
    other.close()


def test_where_it_cannot_be_renamed_nothing_else_is_touched(
    file: LedgerFile, path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.parent.mkdir()
    path.write_bytes(b"broken" * 100)
    wal = path.with_name(path.name + "-wal")
    error = broken(file, clock)
    wal.write_bytes(b"what was written last")
    files = sorted(path.parent.iterdir())

    def refuse(_path: Path, _target: Path) -> Path:
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        assert file.set_aside(error) is None
    assert sorted(path.parent.iterdir()) == files
    kept = file.set_aside(error)
    assert kept is not None
    assert path.with_name(f"{kept}-wal").read_bytes() == b"what was written last"


@pytest.mark.parametrize(
    "statement", ["PRAGMA user_version = 99", "CREATE TABLE songs (name TEXT)", "PRAGMA user_version = 1"]
)
def test_what_others_made_is_left_as_it_is(file: LedgerFile, path: Path, clock: Clock, statement: str) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
    before = path.read_bytes()
    assert file.set_aside(broken(file, clock)) is None
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_an_entry_has_a_column_for_each_field() -> None:
    assert len(row_of(entry())) == len(COLUMNS)

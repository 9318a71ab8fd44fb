"""Whatever a disk does: no request fails for it, it is said, and the answers stay the same."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from conversations import FailsafeStore, MemoryStore, SQLiteStore
from conversations.branch import Cache, Found
from tests.conversations.branches import HEAD, Clock, Remembering, branch, digests

FIRST = branch(cache=Cache("c", asked=(10.0,)))
SECOND = branch(cache=Cache("c", asked=(10.0, 20.0)), count=5, version=1)
THIRD = branch(cache=Cache("c", asked=(10.0, 20.0, 30.0)), count=7, version=2)
REST = 6.0


class Proxy(Remembering):
    def __init__(self, path: Path, clock: Clock) -> None:
        self.file = SQLiteStore(path)
        super().__init__(self.file, clock)


@pytest.fixture
def proxy(path: Path, clock: Clock) -> Iterator[Proxy]:
    made = Proxy(path, clock)
    yield made
    made.store.close()


def _remove(path: Path) -> None:
    for file in path.parent.iterdir():
        file.unlink()


@contextmanager
def garbage(path: Path, _: Proxy) -> Iterator[None]:
    _remove(path)
    path.write_bytes(b"garbage " * 1000)
    yield
    path.unlink()


@contextmanager
def short(path: Path, proxy: Proxy) -> Iterator[None]:
    """What a crash may leave: the beginning of a file."""
    proxy.file.close()
    content = path.read_bytes()
    _remove(path)
    path.write_bytes(content[:5000])
    yield
    path.unlink()


@contextmanager
def locked(path: Path, _: Proxy) -> Iterator[None]:
    other = sqlite3.connect(path, autocommit=True)
    other.execute("BEGIN EXCLUSIVE")
    yield
    other.close()


@contextmanager
def no_folder(path: Path, _: Proxy) -> Iterator[None]:
    shutil.rmtree(path.parent)
    path.parent.write_text("A file stands where the folder was.")
    yield
    path.parent.unlink()


@contextmanager
def full(path: Path, proxy: Proxy) -> Iterator[None]:
    """Writing fails, and takes the transaction with it, as SQLite does where the disk is full."""
    with sqlite3.connect(path, autocommit=True) as other:
        other.execute(
            "CREATE TRIGGER full BEFORE INSERT ON caches BEGIN SELECT RAISE(ROLLBACK, 'database or disk is full'); END"
        )
        yield
        other.execute("DROP TRIGGER full")
    other.close()
    assert set(proxy.reports) == {"database or disk is full"}


@contextmanager
def deleted(path: Path, _: Proxy) -> Iterator[None]:
    _remove(path)
    yield


@contextmanager
def later_schema(path: Path, proxy: Proxy) -> Iterator[None]:
    proxy.file.close()
    other = sqlite3.connect(path, autocommit=True)
    other.execute("PRAGMA user_version = 99")
    yield
    other.execute("PRAGMA user_version = 2")
    other.close()


type Fault = Callable[[Path, Proxy], AbstractContextManager[None]]

FAULTS: list[Fault] = [garbage, short, locked, no_folder, full, deleted, later_schema]


@pytest.mark.parametrize("fault", FAULTS)
def test_it_goes_on_as_if_nothing_had_happened_and_comes_back(
    fault: Fault, path: Path, clock: Clock, proxy: Proxy
) -> None:
    assert proxy.store.save(FIRST, digests(3))
    with fault(path, proxy):
        for _ in range(3):
            assert proxy.known() == Found(FIRST, 3)
            clock.now += REST
        assert proxy.store.save(SECOND, digests(5)[3:])
        assert not proxy.store.save(SECOND, digests(5)[3:]), "compare-and-set holds"
        assert proxy.known() == Found(SECOND, 5)
        proxy.store.settle("c", 20.0, answered=False)
        settled = replace(SECOND, cache=Cache("c", asked=(10.0,)))
        assert proxy.known() == Found(settled, 5)
    clock.now += REST
    assert proxy.known() == Found(settled, 5)
    assert proxy.store.save(THIRD, digests(7))
    assert proxy.known() == Found(THIRD, 7)
    other = Proxy(path, clock)
    assert other.known() == Found(THIRD, 7), "what came after it is in the file"
    other.store.close()
    assert bool(proxy.reports) == (fault is not deleted)
    assert all(report and "\n" not in report and str(path) not in report for report in proxy.reports)


@pytest.mark.parametrize("fault", [garbage, locked, no_folder, later_schema])
def test_a_file_that_cannot_be_used_is_left_alone_for_a_while(
    fault: Fault, path: Path, clock: Clock, proxy: Proxy
) -> None:
    proxy.store.save(FIRST, digests(3))
    with fault(path, proxy):
        for at in range(20):
            proxy.store.save(replace(SECOND, version=at + 1), digests(5))
            proxy.known()
        assert len(proxy.reports) <= 2
        clock.now += REST
        proxy.store.save(replace(SECOND, version=40), digests(5))
        proxy.known()
        assert len(proxy.reports) <= 4


def test_while_another_process_writes_what_it_wrote_before_is_read(path: Path, clock: Clock, proxy: Proxy) -> None:
    other = Proxy(path, clock)
    proxy.store.save(FIRST, digests(3))
    other.store.save(SECOND, digests(5))
    blocker = sqlite3.connect(path, autocommit=True)
    blocker.execute("BEGIN IMMEDIATE")
    assert proxy.store.save(branch("else", cache=Cache("e")), digests(3, "else"))
    assert proxy.reports == ["database is locked"]
    assert proxy.known() == Found(SECOND, 5)
    fresh = Proxy(path, clock)
    assert fresh.known() == Found(SECOND, 5)
    assert not fresh.reports
    blocker.close()
    other.store.close()
    fresh.store.close()


def test_what_the_file_has_missed_is_made_up_for(path: Path, clock: Clock, proxy: Proxy) -> None:
    proxy.store.save(FIRST, digests(3))
    with locked(path, proxy):
        proxy.store.save(SECOND, digests(5), 3)
    clock.now += REST
    proxy.store.save(THIRD, digests(7), 5)
    other = Proxy(path, clock)
    assert other.known(5) == Found(THIRD, 5)
    other.store.close()


def test_what_memory_has_missed_is_made_up_for(path: Path, clock: Clock, proxy: Proxy) -> None:
    proxy.store.save(FIRST, digests(3))
    other = Proxy(path, clock)
    other.store.save(SECOND, digests(5), 3)
    other.store.close()
    proxy.store.save(THIRD, digests(7), 5)
    with deleted(path, proxy):
        assert proxy.known(5) == Found(THIRD, 5)


def test_a_file_that_is_behind_is_not_believed(path: Path, clock: Clock, proxy: Proxy) -> None:
    proxy.store.save(FIRST, digests(3))
    with locked(path, proxy):
        changed = replace(FIRST, policy=FIRST.policy.up_to(2), version=1)
        assert proxy.store.save(changed, digests(3))
    clock.now += REST
    assert proxy.known() == Found(changed, 3)


def test_memory_that_is_behind_is_not_believed(path: Path, clock: Clock, proxy: Proxy) -> None:
    proxy.store.save(FIRST, digests(3))
    other = Proxy(path, clock)
    changed = replace(FIRST, policy=FIRST.policy.up_to(2), version=1)
    assert other.store.save(changed, digests(3))
    assert proxy.known() == Found(changed, 3)
    assert not proxy.store.save(replace(FIRST, version=1), digests(3))
    assert proxy.store.save(replace(changed, version=2), digests(3))
    other.store.close()


def test_nor_is_it_where_others_wrote_while_the_file_was_closed(path: Path, clock: Clock, proxy: Proxy) -> None:
    """What a connection says of others' changes counts for this connection only."""
    proxy.store.save(FIRST, digests(3))
    assert proxy.known() == Found(FIRST, 3)
    proxy.store.save(SECOND, digests(5), 3)
    assert proxy.known() == Found(SECOND, 5)
    proxy.file.close()
    other = Proxy(path, clock)
    assert other.store.save(THIRD, digests(7), 5)
    other.store.close()
    assert proxy.known() == Found(THIRD, 7)


def test_it_moves_with_all_that_memory_knows_and_back(path: Path, proxy: Proxy) -> None:
    assert proxy.store.save(FIRST, digests(3))
    new = SQLiteStore(path.with_name("new.sqlite3"))
    proxy.store.move(new)
    assert proxy.known() == Found(FIRST, 3)
    assert proxy.store.save(SECOND, digests(5), 3)
    assert new.find(digests(3), HEAD) == Found(SECOND, 3), "what leads to it went there, too"
    assert proxy.file._connection is None
    proxy.store.move(proxy.file)
    assert proxy.store.save(THIRD, digests(7), 5)
    assert proxy.file.find(digests(5), HEAD) == Found(THIRD, 5), "and what it missed comes back"


def test_what_others_wrote_where_it_moves_counts(path: Path, clock: Clock, proxy: Proxy) -> None:
    """Though the connection there counts as the one before it did, and memory was the same as the file."""
    assert proxy.store.save(FIRST, digests(3))
    assert proxy.known() == Found(FIRST, 3)
    other = Proxy(path.with_name("new.sqlite3"), clock)
    assert other.store.save(THIRD, digests(7))
    other.store.close()
    proxy.store.move(SQLiteStore(path.with_name("new.sqlite3")))
    assert proxy.known() == Found(THIRD, 7)


def test_what_could_not_be_used_keeps_nobody_from_what_it_moves_to(path: Path, proxy: Proxy) -> None:
    assert proxy.store.save(FIRST, digests(3))
    new = SQLiteStore(path.with_name("new.sqlite3"))
    with garbage(path, proxy):
        assert proxy.store.save(SECOND, digests(5), 3)
        assert proxy.reports
        proxy.store.move(new)
        assert proxy.store.save(THIRD, digests(7), 5)
    assert new.find(digests(7), HEAD) == Found(THIRD, 7)


def test_without_a_file_there_is_memory(clock: Clock) -> None:
    store = FailsafeStore(None, pytest.fail, clock)
    assert store.save(FIRST, digests(3))
    assert store.find(digests(3), HEAD) == Found(FIRST, 3)
    store.close()


def test_only_what_a_disk_may_do_is_taken_for_it(proxy: Proxy) -> None:
    def mistaken(_: object) -> bool:
        raise ZeroDivisionError

    proxy.store.save(FIRST, digests(3))
    with pytest.raises(ZeroDivisionError):
        proxy.store.find(digests(3), HEAD, mistaken)


def test_what_memory_has_given_up_is_not_kept_in_mind(
    path: Path, proxy: Proxy, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = MemoryStore(most_branches=3)
    monkeypatch.setattr(proxy.store, "_memory", memory)
    for number in range(10):
        name = f"there {number}"
        assert proxy.store.save(branch(name, cache=Cache(name)), digests(3, name))
    assert proxy.store._current == set(memory.branches)
    with locked(path, proxy):
        for number in range(10):
            name = f"missed {number}"
            assert proxy.store.save(branch(name, cache=Cache(name)), digests(3, name))
            leaves = branch(name, cache=Cache("another " + name), version=1)
            assert proxy.store.save(leaves, digests(3, name))
        assert proxy.store._missed == set(memory.caches)
    clock.now += REST
    assert proxy.store.save(branch("missed 9", count=5, cache=Cache("another missed 9"), version=2), digests(5), 3)
    other = Proxy(path, clock)
    assert other.store.find(digests(2), HEAD), "the file is told all of it"
    other.store.close()

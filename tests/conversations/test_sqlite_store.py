"""The file: what is in it, who may read it, who shares it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from conversations import SQLiteStore
from conversations.branch import Cache, Found
from tests.conversations.branches import HEAD, Clock, branch, digests

DAY = 24 * 3600.0


@pytest.fixture
def store(path: Path, clock: Clock) -> Iterator[SQLiteStore]:
    made = SQLiteStore(path, clock)
    yield made
    made.close()


def rows(path: Path, table: str) -> int:
    with sqlite3.connect(path) as connection:
        count: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    connection.close()
    return count


def test_a_restart_forgets_nothing(path: Path, store: SQLiteStore) -> None:
    store.save(branch(), digests(3))
    store.close()
    other = SQLiteStore(path)
    assert other.find(digests(4), HEAD) == Found(branch(), 3)
    other.close()


def test_two_that_share_a_file_see_each_other_at_once(path: Path, store: SQLiteStore) -> None:
    other = SQLiteStore(path)
    assert other.find(digests(3), HEAD) is None
    store.save(branch(), digests(3))
    assert other.find(digests(3), HEAD) == Found(branch(), 3)
    assert other.save(branch(version=1), digests(3))
    assert not store.save(branch(version=1), digests(3))
    other.close()


def test_only_its_owner_reads_it(path: Path, store: SQLiteStore) -> None:
    path.parent.parent.chmod(0o755)
    store.save(branch(), digests(3))
    assert path.parent.stat().st_mode & 0o777 == 0o700
    files = list(path.parent.iterdir())
    assert len(files) == 3
    assert [file.stat().st_mode & 0o077 for file in files] == [0, 0, 0]


def test_only_its_owner_reads_it_in_a_folder_that_others_see(path: Path, store: SQLiteStore) -> None:
    path.parent.mkdir(mode=0o755)
    store.save(branch(), digests(3))
    assert [file.stat().st_mode & 0o077 for file in path.parent.iterdir()] == [0, 0, 0]


def test_a_file_of_a_later_schema_is_left_alone(path: Path, store: SQLiteStore) -> None:
    store.save(branch(), digests(3))
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(sqlite3.DatabaseError, match="later version of Foundry Compress, with schema 99"):
        store.find(digests(3), HEAD)
    assert rows(path, "branches") == 1


def test_a_file_of_an_earlier_schema_is_made_over(path: Path, store: SQLiteStore) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.executescript("CREATE TABLE branches (id TEXT, asked_at REAL); PRAGMA user_version = 1;")
    connection.close()
    assert store.find(digests(3), HEAD) is None
    assert store.save(branch(), digests(3))
    assert store.find(digests(3), HEAD) == Found(branch(), 3)


def test_what_was_not_used_for_a_month_is_given_up(path: Path, store: SQLiteStore, clock: Clock) -> None:
    store.save(branch("old", cache=Cache("old")), digests(3, "old"))
    clock.now += 29 * DAY
    store.save(branch("new", cache=Cache("new")), digests(3, "new"))
    store.close()
    clock.now += 2 * DAY
    other = SQLiteStore(path, clock)
    other.save(branch("newest", cache=Cache("newest")), digests(3, "newest"))
    other.close()
    assert [rows(path, table) for table in ("branches", "caches", "requests")] == [2, 2, 6]
    assert store.find(digests(3, "old"), HEAD) is None
    assert store.find(digests(3, "new"), HEAD) is not None


def test_the_oldest_of_too_many_are_given_up(
    path: Path, store: SQLiteStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conversations.sqlite_store._MOST_BRANCHES", 3)
    monkeypatch.setattr("conversations.sqlite_store._TIDY_EVERY", 1)
    for number in range(6):
        clock.now += 1
        store.save(branch(str(number), cache=Cache(f"c{number}")), digests(1, str(number)))
    kept = [number for number in range(6) if store.find(digests(1, str(number)), HEAD)]
    assert kept == [3, 4, 5]
    assert rows(path, "caches") == 3


def test_no_content_is_kept_but_hashes_numbers_and_times(path: Path, store: SQLiteStore) -> None:
    store.save(branch(), digests(3))
    store.close()
    with sqlite3.connect(path) as connection:
        columns = {
            column[1]
            for table in ("branches", "caches", "requests")
            for column in connection.execute(f"PRAGMA table_info({table})")
        }
    connection.close()
    assert columns == {
        "id", "head", "count", "cache", "policy", "version", "holdout", "used_at", "keeps", "asked", "answered_at",
        "digest", "branch",
    }  # fmt: skip


@pytest.mark.parametrize(
    "column", ["policy = 'x'", "policy = '[[1],[],1]'", "policy = '[]'", "policy = '[[],[],[1],5]'"]
)
def test_a_policy_that_cannot_be_read_is_a_broken_file(column: str, path: Path, store: SQLiteStore) -> None:
    store.save(branch(), digests(3))
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE branches SET {column}")
    connection.close()
    with pytest.raises(sqlite3.DatabaseError, match="cannot be read"):
        store.find(digests(3), HEAD)


@pytest.mark.parametrize("asked", ["'x'", "'[null]'", "'{\"a\":1}'", "'5'"])
def test_times_that_cannot_be_read_are_a_broken_file(asked: str, path: Path, store: SQLiteStore) -> None:
    store.save(branch(), digests(3))
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE caches SET asked = {asked}")
    connection.close()
    with pytest.raises(sqlite3.DatabaseError, match="cannot be read"):
        store.find(digests(3), HEAD)


def test_a_file_that_was_deleted_while_it_was_open_is_made_anew(path: Path, store: SQLiteStore) -> None:
    store.save(branch(), digests(3))
    for file in path.parent.iterdir():
        file.unlink()
    assert store.find(digests(3), HEAD) is None
    store.save(branch(), digests(3))
    other = SQLiteStore(path)
    assert other.find(digests(3), HEAD) == Found(branch(), 3)
    other.close()


def test_a_file_that_another_took_the_place_of_is_left(path: Path, store: SQLiteStore, tmp_path: Path) -> None:
    other = SQLiteStore(tmp_path / "other.sqlite3")
    other.save(branch("other"), digests(3))
    other.close()
    store.save(branch(), digests(3))
    for file in path.parent.iterdir():
        if file != path:
            file.unlink()
    (tmp_path / "other.sqlite3").replace(path)
    assert store.find(digests(3), HEAD) == Found(branch("other"), 3)


def test_a_request_that_fails_half_way_leaves_nothing(store: SQLiteStore) -> None:
    store.save(branch(), digests(3))
    broken = [b"x", object()]
    with pytest.raises(sqlite3.Error):
        store.save(branch(version=1, count=9), broken)  # type: ignore[arg-type]
    assert store.find([b"x"], HEAD) is None
    assert store.find(digests(3), HEAD) == Found(branch(), 3)


CHANGES = 60
CHANGER = f"""
import sqlite3, sys
from dataclasses import replace
from pathlib import Path
from conversations import SQLiteStore
from tests.conversations.branches import HEAD, digests

store = SQLiteStore(Path(sys.argv[1]))
store._saved = 1  # it does not tidy, which may fail once a change is made
print("ready", flush=True)
sys.stdin.readline()
done = 0
while done < {CHANGES}:
    try:
        found = store.find(digests(3), HEAD)
        done += store.save(replace(found.branch, version=found.branch.version + 1), digests(3))
    except sqlite3.OperationalError as error:
        assert "locked" in str(error)
store.close()
"""


def test_of_two_processes_only_one_makes_each_change(path: Path, store: SQLiteStore) -> None:
    store.save(branch(), digests(3))
    root = Path(__file__).parents[2]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CHANGER, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=root,
            env={"PYTHONPATH": f"{root / 'addons'}:{root}"},
        )
        for _ in range(2)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.flush()
        for process in processes:
            process.communicate(timeout=120)
            assert process.returncode == 0
    finally:
        for process in processes:
            process.kill()
    found = store.find(digests(3), HEAD)
    assert found is not None
    assert replace(found.branch, version=0) == branch()
    assert found.branch.version == 2 * CHANGES


def test_several_times_open_at_once_the_schema_is_made_once(path: Path) -> None:
    stores = [SQLiteStore(path) for _ in range(4)]
    for number, store in enumerate(stores):
        assert store.save(replace(branch(), version=number), digests(3))
    for store in stores:
        store.close()

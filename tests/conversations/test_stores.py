"""What every store does: in memory, in a file, in a server, and the one that falls back from one to the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from conversations import FailsafeStore, MemoryStore, RedisStore, SQLiteStore
from conversations.branch import Cache, Found, Store
from tests.conversations.branches import HEAD, OTHER_HEAD, branch, digests
from tests.conversations.redis_server import NEEDS_REDIS, RedisServer

type Server = Callable[[], RedisServer]


def _in_memory(_: Path, __: Server) -> Store:
    return MemoryStore()


def _in_file(directory: Path, _: Server) -> Store:
    return SQLiteStore(directory / "state" / "conversations.sqlite3")


def _failsafe(directory: Path, _: Server) -> Store:
    return FailsafeStore(SQLiteStore(directory / "conversations.sqlite3"), pytest.fail)


def _failed(directory: Path, _: Server) -> Store:
    (directory / "no folder").touch()
    return FailsafeStore(SQLiteStore(directory / "no folder" / "conversations.sqlite3"), lambda _: None)


def _in_server(_: Path, server: Server) -> Store:
    return RedisStore(server().on_socket)


def _failsafe_server(_: Path, server: Server) -> Store:
    return FailsafeStore(RedisStore(server().on_port), pytest.fail)


SERVED = [pytest.param(make, marks=NEEDS_REDIS) for make in (_in_server, _failsafe_server)]


@pytest.fixture(params=[_in_memory, _in_file, _failsafe, _failed, *SERVED])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    make: Callable[[Path, Server], Store] = request.param
    made = make(tmp_path, lambda: request.getfixturevalue("redis_server"))
    yield made
    made.close()


def test_what_was_saved_comes_back(store: Store) -> None:
    for number, cache in enumerate(
        (
            Cache("c0"),
            Cache("c1", 3600.0, asked=(10.0, 12.5), answered_at=9.25),
            Cache("c2", answered_at=1_764_000_000.123456),
        )
    ):
        one = branch(str(number), cache=cache, version=number)
        assert store.save(one, digests(3, str(number)))
        assert store.find(digests(5, str(number)), HEAD) == Found(one, 3)
    assert store.find(digests(3, "else"), HEAD) is None
    assert store.find([], HEAD) is None


def test_found_is_the_branch_with_most_of_the_messages(store: Store) -> None:
    short = branch("short", count=2, cache=Cache("c", asked=(99.0,)))
    long = branch("long", count=5, cache=Cache("d", asked=(1.0,)))
    store.save(short, digests(600)[:2])
    store.save(long, digests(600)[4:5])
    assert store.find(digests(600), HEAD) == Found(long, 5)
    assert store.find(digests(12), HEAD) == Found(long, 5)
    assert store.find(digests(4), HEAD) == Found(short, 2)


def test_what_is_said_to_be_known_is_kept_where_it_is_not(store: Store) -> None:
    one = branch("one", count=5)
    assert store.save(one, digests(5), 4)
    assert store.find(digests(2), HEAD) == Found(one, 2)
    other = branch("other", count=6)
    assert store.save(other, digests(6), 4)
    assert store.find(digests(2), HEAD) == Found(one, 2)
    assert store.find(digests(4), HEAD, lambda found: found.id == "other") is None
    assert store.find(digests(5), HEAD, lambda found: found.id == "other") == Found(other, 5)


def test_of_several_the_one_that_was_used_last(store: Store) -> None:
    for number, at in enumerate((5.0, 9.0, 7.0)):
        store.save(branch(str(number), cache=Cache(f"c{number}", asked=(at,))), digests(3))
    found = store.find(digests(3), HEAD)
    assert found is not None
    assert found.branch.id == "1"


def test_behind_a_head_or_any(store: Store) -> None:
    one = branch("one", count=2)
    other = branch("other", head=OTHER_HEAD, count=4, cache=Cache("d", asked=(1.0,)))
    store.save(one, digests(2))
    store.save(other, digests(4))
    assert store.find(digests(6), HEAD) == Found(one, 2)
    assert store.find(digests(6), OTHER_HEAD) == Found(other, 4)
    assert store.find(digests(6), None) == Found(other, 4)
    assert store.find(digests(6), b"") is None


def test_only_what_is_wanted(store: Store) -> None:
    short, long = branch("short", count=2), branch("long", count=20)
    store.save(short, digests(2))
    store.save(long, digests(20)[2:])
    assert store.find(digests(20), HEAD, lambda one: one.count < 20) == Found(short, 2)
    assert store.find(digests(20), HEAD, lambda _: False) is None


def test_a_change_of_what_was_changed_meanwhile_is_refused(store: Store) -> None:
    first = branch(count=3)
    assert store.save(first, digests(3))
    second = replace(first, count=5, version=1)
    assert store.save(second, digests(5)[3:])
    for late in (replace(first, count=7), replace(first, count=7, version=1)):
        assert not store.save(late, digests(7)[3:])
    assert store.find(digests(7), HEAD) == Found(second, 5)
    assert store.save(replace(first, count=7, version=2), digests(7)[3:])


def test_a_request_that_is_answered_has_used_the_cache(store: Store) -> None:
    store.save(branch(cache=Cache("c", asked=(10.0,))), digests(3))
    store.settle("c", 10.0, answered=True)
    found = store.find(digests(3), HEAD)
    assert found is not None
    assert found.branch.cache == Cache("c", answered_at=10.0)
    store.settle("c", 8.0, answered=True)
    found = store.find(digests(3), HEAD)
    assert found is not None
    assert found.branch.cache.last_sent == 10.0, "an earlier one takes nothing back"


def test_a_request_that_is_refused_has_not_and_says_nothing_of_others(store: Store) -> None:
    store.save(branch(cache=Cache("c", asked=(10.0, 20.0, 20.0), answered_at=5.0)), digests(3))
    for at, last in ((20.0, 20.0), (20.0, 10.0), (30.0, 10.0), (10.0, 5.0)):
        store.settle("c", at, answered=False)
        found = store.find(digests(3), HEAD)
        assert found is not None
        assert found.branch.cache.last_sent == last


def test_the_end_of_a_request_of_a_cache_that_is_not_known_is_none(store: Store) -> None:
    store.save(branch(), digests(3))
    store.settle("other", 10.0, answered=True)
    assert store.find(digests(3), HEAD) == Found(branch(), 3)


def test_branches_of_one_cache_keep_each_other_warm(store: Store) -> None:
    store.save(branch("one", cache=Cache("c", asked=(10.0,))), digests(3, "one"))
    store.save(branch("two", cache=Cache("c", asked=(10.0, 20.0))), digests(3, "two"))
    store.settle("c", 20.0, answered=True)
    found = store.find(digests(3, "one"), HEAD)
    assert found is not None
    # How the earlier one ended does not matter any more.
    assert found.branch.cache == Cache("c", answered_at=20.0)


def test_a_branch_may_leave_its_cache(store: Store) -> None:
    one = branch(cache=Cache("c", asked=(10.0,)))
    store.save(one, digests(3))
    left = replace(one, cache=Cache("d", asked=(20.0,)), version=1)
    store.save(left, digests(3))
    store.settle("c", 10.0, answered=True)
    assert store.find(digests(3), HEAD) == Found(left, 3)


def test_closed_it_is_opened_again(store: Store) -> None:
    store.save(branch(), digests(3))
    store.close()
    assert store.find(digests(3), HEAD) == Found(branch(), 3)


def test_memory_gives_up_what_was_used_least_recently() -> None:
    store = MemoryStore(most_branches=2)
    for name in "abc":
        store.save(branch(name, cache=Cache("c" + name)), [*digests(3, name), b"common"])
        if name == "b":
            store.save(branch("a", cache=Cache("ca"), version=1), digests(1, "a"))
    assert store.find(digests(3, "b"), HEAD) is None
    for name in "ac":
        found = store.find(digests(3, name), HEAD)
        assert found is not None
        assert found.branch.id == name
    store.settle("cb", 1.0, answered=True)
    store.save(branch("d", cache=Cache("cd")), digests(3, "d"))
    store.save(branch("e", cache=Cache("ce")), digests(3, "e"))
    assert store.find([b"common"], HEAD) is None
    assert (len(store._branches), len(store._caches), len(store._users), len(store._digests)) == (2, 2, 2, 2)
    assert set(store._requests) == {*digests(3, "d"), *digests(3, "e")}


def test_memory_gives_up_the_oldest_where_too_many_messages_lead_to_all() -> None:
    store = MemoryStore(most_digests=10)
    for name in "abc":
        store.save(branch(name, cache=Cache("c" + name)), digests(4, name))
    assert store.find(digests(4, "a"), HEAD) is None
    store.save(branch("c", count=6, cache=Cache("cc"), version=1), digests(6, "c"), 4)
    assert [*store.branches] == ["b", "c"], "what is known already is not counted twice"
    store.save(branch("c", count=7, cache=Cache("cc"), version=2), digests(7, "c"))
    assert [*store.branches] == ["c"]
    assert store._size == len(store._requests) == 7
    store.save(branch("d", count=11, cache=Cache("cd")), digests(11, "d"))
    assert not store.branches, "one that takes more than there may be is not kept"
    assert not store._requests

"""The server: what is in it, what happens when it does not answer, and what of it is shown."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mitmproxy.test import tutils

from compression_engine import Place, Policy
from configuring.foundry_options import Settings
from configuring.possible_values import Mode
from configuring.state_url import StateUrl, read_state_url
from conversations import FailsafeStore, MemoryStore, RedisStore, redis_store
from conversations.branch import Branch, Cache, Found, Store, StoreError
from conversations.redis_store import KEPT_SECONDS
from demo.certificate import write_certificate
from host_rules import Endpoint
from notices import Notices
from rewriting.request_rewriter import STATE_FILE, RequestRewriter
from tests.compression_engine.bodies import READ, body, numbered, source_lines, turns
from tests.conversations.branches import HEAD, OTHER_HEAD, Clock, Remembering, branch, digests
from tests.conversations.redis_server import NEEDS_REDIS, PATIENCE, RedisServer
from tests.e2e.mitmdump import free_port, wait_for

pytestmark = NEEDS_REDIS

FIRST = branch(cache=Cache("c", asked=(10.0,)))
SECOND = branch(cache=Cache("c", asked=(10.0, 20.0)), count=5, version=1)
THIRD = branch(cache=Cache("c", asked=(10.0, 20.0, 30.0)), count=7, version=2)
REST = 6.0
SECRET = "a-password-that-nobody-sees"


@pytest.fixture
def store(redis_server: RedisServer) -> Iterator[RedisStore]:
    made = RedisStore(redis_server.on_socket)
    yield made
    made.close()


def keys(server: RedisServer) -> int:
    return int(server.tell("DBSIZE").removeprefix(":"))


def url(value: str) -> StateUrl:
    made = read_state_url(value)
    assert made is not None
    return made


# What several proxies share


def test_two_proxies_see_each_other_at_once(redis_server: RedisServer, store: RedisStore) -> None:
    other = RedisStore(redis_server.on_port)
    assert other.find(digests(3), HEAD) is None
    assert store.save(FIRST, digests(3))
    assert other.find(digests(3), HEAD) == Found(FIRST, 3)
    assert other.save(SECOND, digests(5), 3)
    assert not store.save(SECOND, digests(5), 3)
    assert store.find(digests(7), HEAD) == Found(SECOND, 5)
    other.close()


def test_of_many_that_go_on_at_once_one_comes_first_each_time(redis_server: RedisServer) -> None:
    versions, proxies = 20, 8
    ready = threading.Barrier(proxies, timeout=PATIENCE)

    def goes_on(_: int) -> list[bool]:
        store = RedisStore(redis_server.on_socket)
        won = []
        for version in range(versions):
            ready.wait()
            won.append(store.save(branch(version=version), digests(3)))
        store.close()
        return won

    with ThreadPoolExecutor(proxies) as threads:
        of_each = list(threads.map(goes_on, range(proxies)))
    assert [sum(won) for won in zip(*of_each, strict=True)] == [1] * versions


def test_ends_that_are_noted_at_once_are_all_noted(redis_server: RedisServer, store: RedisStore) -> None:
    for times in range(10):
        at = [float(100 * times + number) for number in range(4)]
        store.save(branch(str(times), cache=Cache(f"c{times}", asked=tuple(at))), digests(3, str(times)))

        def refuse(asked_at: float, name: str = f"c{times}") -> None:
            one = RedisStore(redis_server.on_socket)
            one.settle(name, asked_at, answered=False)
            one.close()

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(refuse, at[:2]))
        found = store.find(digests(3, str(times)), HEAD)
        assert found is not None
        assert found.branch.cache.asked == tuple(at[2:])


BRANCHES = ["a", "b", "c"]
TIMES = st.integers(1, 10**6).map(float)


@st.composite
def acts(draw: st.DrawFn) -> Callable[[Store], object]:
    """Something that is done to a store, and gives what can be seen of it."""
    path = draw(st.sampled_from(["", "x"]))
    messages = digests(12)[: draw(st.integers(0, 4))] + digests(12, path)[: draw(st.integers(1, 12))]
    head = draw(st.sampled_from([HEAD, OTHER_HEAD]))
    cache = "c" + draw(st.sampled_from("xyz"))
    match draw(st.integers(0, 3)):
        case 0:
            return lambda one: one.find(messages, head)
        case 1:
            most = draw(st.integers(0, 12))
            return lambda one: one.find(messages, None, lambda it: it.count <= most)
        case 2:
            at, answered = draw(TIMES), draw(st.booleans())
            return lambda one: one.settle(cache, at, answered=answered)
        case _:
            new = Branch(
                draw(st.sampled_from(BRANCHES)) + head.decode()[0],
                head,
                len(messages),
                Cache(cache, draw(st.sampled_from([300.0, 3600.0])), tuple(draw(st.lists(TIMES, min_size=1)))),
                Policy(
                    tuple(draw(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=3))),
                    tuple(Place(*at) for at in draw(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))))),
                ),
                draw(st.integers(0, 40)),
                draw(st.booleans()),
            )
            return lambda one: one.save(new, messages, _known(one, new, messages))


def _known(store: Store, branch: Branch, messages: list[bytes]) -> int:
    """How many of the messages lead to the branch's cache, as who has looked it up says it."""
    found = store.find(messages, None, lambda one: one.cache.id == branch.cache.id)
    return found.known - (found.branch.id != branch.id) if found else 0


def _seen(result: object) -> object:
    """What two stores must agree on: of several that were used last at the same moment either is as good."""
    return (result.known, result.branch.cache.last_sent) if isinstance(result, Found) else result


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(acts(), max_size=25))
def test_it_remembers_what_memory_remembers(redis_server: RedisServer, what: list[Callable[[Store], object]]) -> None:
    redis_server.tell("FLUSHALL")
    memory, server = MemoryStore(), RedisStore(redis_server.on_socket)
    try:
        for act in what:
            assert _seen(act(server)) == _seen(act(memory))
    finally:
        server.close()


# What is in it


def test_everything_expires(redis_server: RedisServer, store: RedisStore) -> None:
    store.save(FIRST, digests(3))
    store.settle("c", 10.0, answered=True)
    names = [f"d{digest.hex()}" for digest in digests(3)]
    assert keys(redis_server) == len(names) + 2
    client = store._open()
    left = [client.ttl(key) for key in client.scan_iter(count=100)]
    assert len(left) == keys(redis_server)
    assert all(KEPT_SECONDS - 60 < seconds <= KEPT_SECONDS for seconds in left)


def test_what_goes_on_for_long_is_told_anew(store: RedisStore) -> None:
    store.save(FIRST, digests(3))
    client = store._open()
    (beginning,) = client.keys(b"*" + digests(1)[0].replace(b"*", b"?").replace(b"[", b"?").replace(b"\\", b"?"))
    client.expire(beginning, 100)
    for version in range(1, 40):
        store.save(branch(version=version, count=3 + version), digests(3 + version), 2 + version)
    assert client.ttl(beginning) > 100


def test_many_with_the_same_beginning_do_not_add_up(store: RedisStore) -> None:
    for number in range(100):
        store.save(branch(f"b{number}", count=1, cache=Cache(f"c{number}", asked=(number,))), digests(1))
    found = store.find(digests(1), HEAD)
    assert found is not None
    assert found.branch.id == "b99"
    assert store.find(digests(1), HEAD, lambda one: one.id == "b30") is None
    assert store.find(digests(1), HEAD, lambda one: one.id == "b40") is not None


def test_a_long_conversation_is_found_wherever_another_leaves_it(store: RedisStore) -> None:
    messages = digests(2600)
    store.save(branch(count=2600), messages)
    for common in (2600, 2593, 2592, 2591, 1593, 1592, 1591, 600, 592, 1):
        found = store.find([*messages[:common], *digests(2600, "left")[common:]], HEAD)
        assert found is not None
        assert found.known == common
    store.save(branch("late", count=2601, cache=Cache("c")), [*messages, b"one more"], 2600)
    assert store.find([*messages[:2500]], HEAD) == Found(branch(count=2600, cache=Cache("c")), 2500)


def test_what_was_given_up_is_not_found_and_is_told_again(redis_server: RedisServer, store: RedisStore) -> None:
    for kind in "bcd":
        redis_server.tell("FLUSHALL")
        store.save(FIRST, digests(3))
        client = store._open()
        client.delete(*client.scan_iter(f"{redis_store._PREFIX}{kind}*"))
        assert store.find(digests(3), HEAD) is None
        assert store.save(SECOND, digests(5), 0 if kind == "d" else 3)
        assert store.find(digests(5), HEAD) == Found(SECOND, 5)
        if kind == "c":
            assert store.find(digests(2), HEAD) == Found(SECOND, 2)


@pytest.mark.parametrize("content", [b"", b"garbage", b"7 c \xc1", b"7 c \x80", b"x c \x90"])
def test_what_another_version_wrote_is_as_good_as_nothing(content: bytes, store: RedisStore) -> None:
    reports: list[str] = []
    failsafe = FailsafeStore(store, reports.append)
    assert store.save(FIRST, digests(3))
    store._open().set(f"{redis_store._PREFIX}bb", content)
    assert store.find(digests(3), HEAD) is None
    if not failsafe.save(SECOND, digests(5)):
        assert content.startswith(b"7 "), "what is newer stays"
    beside = replace(SECOND, id="beside")
    assert failsafe.save(beside, digests(5))
    assert failsafe.find(digests(5), HEAD, lambda one: one.id == "beside") == Found(beside, 5)
    assert not reports
    store._open().set(f"{redis_store._PREFIX}cc", content)
    failsafe.settle("c", 10.0, answered=True)
    assert reports == ["times that cannot be read"]


# What it may do


class Proxy(Remembering):
    def __init__(self, url: StateUrl, clock: Clock) -> None:
        self.shared = RedisStore(url)
        super().__init__(self.shared, clock)


@contextmanager
def gone(server: RedisServer) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def frozen(server: RedisServer) -> Iterator[None]:
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


@contextmanager
def emptied(server: RedisServer) -> Iterator[None]:
    server.tell("FLUSHALL")
    yield


@contextmanager
def scripts_forgotten(server: RedisServer) -> Iterator[None]:
    server.tell("SCRIPT", "FLUSH")
    yield


@contextmanager
def cut(server: RedisServer) -> Iterator[None]:
    server.tell("CLIENT", "KILL", "TYPE", "normal")
    yield


@contextmanager
def full(server: RedisServer) -> Iterator[None]:
    server.tell("CONFIG", "SET", "maxmemory", "1")
    try:
        yield
    finally:
        server.tell("CONFIG", "SET", "maxmemory", "0")


@contextmanager
def read_only(server: RedisServer) -> Iterator[None]:
    """As after a fail-over, while the name still leads to the one that was replaced."""
    server.tell("CONFIG", "SET", "replica-serve-stale-data", "yes")
    server.tell("REPLICAOF", "127.0.0.1", "1")
    try:
        yield
    finally:
        server.tell("REPLICAOF", "NO", "ONE")


@contextmanager
def password_changed(server: RedisServer) -> Iterator[None]:
    server.tell("CONFIG", "SET", "requirepass", SECRET)
    server.password = SECRET
    server.tell("CLIENT", "KILL", "TYPE", "normal")
    try:
        yield
    finally:
        server.tell("CONFIG", "SET", "requirepass", '""')
        server.password = ""


type Fault = Callable[[RedisServer], AbstractContextManager[None]]

FAULTS: list[Fault] = [gone, frozen, emptied, scripts_forgotten, cut, full, read_only, password_changed]
UNSEEN = (emptied, scripts_forgotten, cut)


@pytest.mark.parametrize("fault", FAULTS)
def test_it_goes_on_as_if_nothing_had_happened_and_comes_back(
    fault: Fault, redis_server: RedisServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault is frozen:
        monkeypatch.setattr(redis_store, "_ANSWER_SECONDS", 1.0)
    proxy = Proxy(redis_server.on_port, clock)
    assert proxy.store.save(FIRST, digests(3))
    with fault(redis_server):
        assert proxy.known() == Found(FIRST, 3)
        assert proxy.store.save(SECOND, digests(5), 3)
        assert not proxy.store.save(SECOND, digests(5), 3), "compare-and-set holds"
        assert proxy.known() == Found(SECOND, 5)
        proxy.store.settle("c", 20.0, answered=False)
        settled = replace(SECOND, cache=Cache("c", asked=(10.0,)))
        assert proxy.known() == Found(settled, 5)
    monkeypatch.setattr(redis_store, "_ANSWER_SECONDS", PATIENCE)
    clock.now += REST
    assert proxy.known() == Found(settled, 5)
    assert proxy.store.save(THIRD, digests(7), 5)
    assert proxy.known() == Found(THIRD, 7)
    other = Proxy(redis_server.on_port, clock)
    for count in (7, 5, 3):
        assert other.known(count) == Found(THIRD, count), "what it has missed is made up for"
    assert bool(proxy.reports) == (fault not in UNSEEN)
    assert not other.reports
    assert all(report and "\n" not in report and SECRET not in report for report in proxy.reports)
    for one in (proxy, other):
        one.store.close()


@pytest.mark.parametrize("fault", [gone, frozen, password_changed])
def test_one_that_does_not_answer_is_asked_once_in_a_while(
    fault: Fault, redis_server: RedisServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault is frozen:
        monkeypatch.setattr(redis_store, "_ANSWER_SECONDS", 1.0)
    proxy = Proxy(redis_server.on_port, clock)
    proxy.store.save(FIRST, digests(3))
    with fault(redis_server):
        for at in range(20):
            proxy.known()
            proxy.store.save(replace(SECOND, version=at + 1), digests(5))
            proxy.store.settle("c", 20.0, answered=True)
        assert len(proxy.reports) == 1
        for number, rest in enumerate((1, 2, 4, 8, 16, 16), 2):
            clock.now += rest - 0.1
            proxy.known()
            proxy.store.save(replace(SECOND, version=10 * number), digests(5))
            assert len(proxy.reports) == number - 1
            clock.now += 0.2
            proxy.known()
            proxy.store.save(replace(SECOND, version=10 * number + 1), digests(5))
            assert len(proxy.reports) == number
            if fault is frozen and number == 3:
                break  # each takes a second
    monkeypatch.setattr(redis_store, "_ANSWER_SECONDS", PATIENCE)
    clock.now += 20
    proxy.known()
    with gone(redis_server):
        proxy.known()
        clock.now += 1.1
        proxy.known()
        assert len(proxy.reports) == number + 2, "it was there, and is asked again soon"
    proxy.store.close()


def test_a_wrong_password_is_told_and_not_shown(clock: Clock) -> None:
    with RedisServer(password="the-right-one") as server:
        proxy = Proxy(url(f"redis://user:{SECRET}@127.0.0.1:{server.port}/0"), clock)
        assert proxy.store.save(FIRST, digests(3))
        assert proxy.known() == Found(FIRST, 3)
        assert proxy.reports in (["AuthenticationError"], ["AuthenticationError WRONGPASS"])
        right = Proxy(server.on_port, clock)
        assert right.store.save(FIRST, digests(3))
        assert not right.reports
        for one in (proxy, right):
            one.store.close()


def test_over_tls_to_a_server_whose_certificate_is_trusted_and_to_no_other(tmp_path: Path, clock: Clock) -> None:
    certificate, key = write_certificate(tmp_path, ("localhost",))
    port = free_port()
    tls = ["--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
    with RedisServer(*tls, "--tls-auth-clients", "no", "--tls-ca-cert-file", str(certificate), password=SECRET):
        address = f"rediss://:{SECRET}@localhost:{port}/0"
        trusting = Proxy(url(f"{address}?ssl_ca_certs={certificate}"), clock)
        assert trusting.store.save(FIRST, digests(3))
        assert trusting.known() == Found(FIRST, 3)
        assert not trusting.reports
        doubting = Proxy(url(address), clock)
        assert doubting.known() is None
        assert len(doubting.reports) == 1
        for proxy in (trusting, doubting):
            proxy.store.close()


def test_a_name_that_nobody_knows_is_told(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_store, "_CONNECT_SECONDS", 1.0)  # where there is no network, no resolver may answer
    proxy = Proxy(url(f"redis://:{SECRET}@no-such-host.invalid:6379/0"), clock)
    assert proxy.store.save(FIRST, digests(3))
    assert proxy.reports == ["its name cannot be resolved"]


def test_a_resolver_that_does_not_answer_holds_nobody_up(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: answers.wait())
    monkeypatch.setattr(redis_store, "_CONNECT_SECONDS", 0.1)
    proxy = Proxy(url("redis://slow-name.invalid:6379/0"), clock)
    assert proxy.store.save(FIRST, digests(3)), "while the resolver still thinks"
    assert proxy.reports == ["its name cannot be resolved"]
    answers.set()


def test_without_the_package_it_says_how_to_get_it(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_store, "IS_AVAILABLE", False)
    with pytest.raises(StoreError, match="pip install redis"):
        RedisStore(redis_server.on_socket).find(digests(3), HEAD)


def test_what_is_not_the_servers_fault_is_not_taken_for_it(store: RedisStore) -> None:
    def mistaken(_: Branch) -> bool:
        raise ZeroDivisionError

    failsafe = FailsafeStore(store, pytest.fail)
    failsafe.save(FIRST, digests(3))
    with pytest.raises(ZeroDivisionError):
        failsafe.find(digests(3), HEAD, mistaken)


# How the addon uses it


async def test_the_event_loop_never_waits_for_it(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where a request just goes on, which is otherwise decided at once."""
    used: Counter[str] = Counter()
    run = RedisStore._errors

    def noted(store: RedisStore) -> AbstractContextManager[None]:
        used[threading.current_thread().name.rpartition("_")[0]] += 1
        return run(store)

    monkeypatch.setattr(RedisStore, "_errors", noted)
    wanted = Settings(Mode.BALANCED, (), 2**26, 600.0, tmp_path, 0, 60, state_url=redis_server.on_port, budget=60.0)
    first, second = RequestRewriter(wanted, Notices()), RequestRewriter(wanted, Notices())
    said = ((READ, {"file_path": f"{n}.py"}, numbered(source_lines(40, f"n{n}"))) for n in range(6))
    messages = turns(*said)
    try:
        for count in range(3, len(messages) + 1, 2):
            request = tutils.treq(content=body(messages[:count], tools=[{"name": READ}]))
            for rewriter in (first, second) if count % 4 == 1 else (second, first):
                treatment, sent = await rewriter.treat(request, Endpoint.MESSAGES)
                rewriter.settle(sent, answered=count % 4 == 1)
                assert treatment.body is not None
        assert wait_for(lambda: used["foundry-notes"], PATIENCE)
    finally:
        first.close()
        second.close()
    assert set(used) == {"foundry-deciding", "foundry-notes"}
    assert not (tmp_path / STATE_FILE).exists()
    assert keys(redis_server) > len(messages)


def test_what_is_behind_a_network_is_not_looked_up_at_once(redis_server: RedisServer) -> None:
    assert not FailsafeStore(RedisStore(redis_server.on_port), pytest.fail).is_near
    assert FailsafeStore(None, pytest.fail).is_near

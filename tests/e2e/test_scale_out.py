"""Four proxies behind nginx that remember conversations in one Redis server, as docs/gateway.md has it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import batched, pairwise
from pathlib import Path

import pytest

from connecting.listening import is_loopback
from tests.conversations.redis_server import NEEDS_REDIS, RedisServer
from tests.e2e.client import plain
from tests.e2e.conftest import HARNESS
from tests.e2e.laws import STUB, Exchange, verify, verify_prefixes
from tests.e2e.mitmdump import Mitmdump, free_port
from tests.e2e.nginx import NEEDS_NGINX, nginx
from tests.e2e.recording_origin import RecordingOrigin
from tests.e2e.replicas import Talk, exchanges, replica_of, replicas, say
from tests.e2e.set_aside_sessions import BALANCED, WARM
from tests.e2e.snippets import snippet

pytestmark = [pytest.mark.e2e, NEEDS_REDIS]

TALKS, REPLICAS = 100, 4
AT_ONCE = 20  # so many conversations go on side by side
CLIENTS = 8
TRIES = 3  # of a client, for one request
LIFETIME = 12.0
BEFORE, AFTER = 3, 4  # turns until the prompt cache has expired, and from then on
LOOKED_AT_CLOSELY = 5
EXAMPLES = [f"10.0.0.1{machine}:808{process}" for machine in (1, 2) for process in (1, 2)]
PASSWORD = "a-password-that-nobody-sees"


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    with RedisServer(password=PASSWORD) as server:
        yield server


@pytest.fixture
def shared(redis_server: RedisServer, tmp_path: Path) -> dict[str, str]:
    """The option that lets proxies remember in the server, whose password is in a file."""
    file = tmp_path / "redis_url"
    file.write_text(redis_server.on_port.value)
    return {"foundry_state_url": f"@{file}"}


class Clients:
    """Send requests of several conversations at a time to one address."""

    def __init__(self, threads: ThreadPoolExecutor, port: int, certificate: Path) -> None:
        self.threads = threads
        self._say = partial(say, port=port, certificate=certificate)

    def turn(self, talks: Sequence[Talk]) -> None:
        """The next turn of each; who gets no answer tries again, as clients do."""
        for talk in talks:
            talk.turns += 1
        waiting = list(talks)
        for _ in range(TRIES):
            tried = list(self.threads.map(self._say, waiting))
            waiting = [talk for talk, attempt in zip(waiting, tried, strict=True) if not attempt.is_answered]
        assert not waiting


@contextmanager
def behind_nginx(
    directory: Path, origin: RecordingOrigin, options: dict[str, str]
) -> Iterator[tuple[list[Mitmdump], ExitStack, Clients]]:
    """Proxies with these `options` behind nginx, which is told what the docs tell it."""
    with (
        replicas(directory, origin, REPLICAS, options, HARNESS / "patient.py") as (proxies, stack),
        ThreadPoolExecutor(CLIENTS) as threads,
    ):
        port = free_port()  # which is free for a minute only: it may take longer until all of those are there
        places = {example: f"127.0.0.1:{proxy.port}" for example, proxy in zip(EXAMPLES, proxies, strict=True)}
        places["10.0.0.10:8080"] = f"127.0.0.1:{port}"
        with nginx(snippet("docs/gateway.md", "nginx", replacing=places), directory):
            yield proxies, stack, Clients(threads, port, proxies[0].certificate)


@NEEDS_NGINX
def test_any_replica_goes_on_with_any_conversation_and_one_may_be_killed(
    tmp_path: Path, origin: RecordingOrigin, redis_server: RedisServer, shared: dict[str, str]
) -> None:
    origin.forget()
    talks = [Talk(number) for number in range(TALKS)]
    groups = list(batched(talks, AT_ONCE))
    options = {**BALANCED, **shared, "foundry_cache_ttl": f"{LIFETIME:g}"}
    with behind_nginx(tmp_path, origin, options) as (proxies, stack, clients):
        for group in groups:
            for _ in range(BEFORE):
                clients.turn(group)
        time.sleep(LIFETIME + 0.5)
        clients.turn(groups[0])  # set aside by any of them, and known to the others
        dying = clients.threads.submit(_kill, proxies[0])
        for _ in range(AFTER - 1):
            clients.turn(groups[0])
        killed, dead = dying.result()
        for group in groups[1:]:
            if group is groups[2]:
                said = proxies[0].log()
                stack.enter_context(proxies[0])  # it comes back
            for _ in range(AFTER):
                clients.turn(group)
        remembered = redis_server.dump()
        said += "".join(proxy.log() for proxy in proxies)

    assert "cannot be kept" not in said
    assert " failed (" not in said
    assert PASSWORD not in said
    found = {talk.number: exchanges(talk, origin) for talk in talks}
    for of_one in found.values():
        verify_prefixes(of_one, LIFETIME)
        _was_set_aside_on_the_way(of_one)
    for number in range(LOOKED_AT_CLOSELY):
        verify(found[number], LIFETIME)
    lost = [attempt for talk in talks for attempt in talk.attempts if not attempt.is_answered]
    assert all(one.begun <= dead and killed <= one.ended for one in lost), "more than went through the killed one"
    gaps = [later.sent_at - one.sent_at for of_one in found.values() for one, later in pairwise(of_one)]
    assert sum(gap < 0.9 * LIFETIME for gap in gaps) > len(gaps) / 2, "too slow for a prompt cache to stay warm"
    used = [{replica_of(received) for received in talk.received(origin)} for talk in talks]
    assert set.union(*used) == {str(number) for number in range(REPLICAS)}
    assert sum(len(of_one) > 2 for of_one in used) > TALKS / 2, "conversations went from one to the other"
    for content in (b"value_", b"matter", b"made-up", b"compute"):
        assert content not in remembered
    assert not list(tmp_path.glob("replica-*/state/conversations*"))


def _kill(proxy: Mitmdump) -> tuple[float, float]:
    """Between which two moments it has died."""
    begun = time.monotonic()
    proxy.kill()
    return begun, time.monotonic()


def _was_set_aside_on_the_way(of_one: list[Exchange]) -> None:
    assert not STUB.search(of_one[0].arrived.body.decode())
    assert STUB.search(of_one[-1].arrived.body.decode()), "the prompt cache was cold once"


def test_without_the_server_each_goes_on_by_itself(
    tmp_path: Path, origin: RecordingOrigin, redis_server: RedisServer, shared: dict[str, str]
) -> None:
    """Nothing is lost, and what a proxy has sent itself it still knows; the others' it takes up when it can."""
    origin.forget()
    talks = [Talk(number) for number in range(3)]
    with (
        replicas(tmp_path, origin, 2, {**WARM, **shared}) as (proxies, _),
        ThreadPoolExecutor(1) as threads,
    ):
        one, other = (Clients(threads, proxy.port, proxy.certificate) for proxy in proxies)
        for clients in (one, other, one):
            clients.turn(talks)
        redis_server.freeze()
        for _ in range(2):
            one.turn(talks)
        redis_server.thaw()
        redis_server.stop()
        one.turn(talks)
        assert proxies[0].logged(f"cannot be kept in redis://127.0.0.1:{redis_server.port}/0 (")
        redis_server.start()
        for _ in range(12):  # it is left alone for a while, the longer the slower this machine is
            one.turn(talks)
            if redis_server.tell("DBSIZE") != ":0":
                break
            time.sleep(2)
        one.turn(talks)
        other.turn(talks)
        said = "".join(proxy.log() for proxy in proxies)
        stats = [proxy.local("/api/stats") for proxy in proxies]
    for talk in talks:
        assert all(attempt.is_answered for attempt in talk.attempts)
        verify_prefixes(exchanges(talk, origin))
    assert f"state in redis://127.0.0.1:{redis_server.port}/0 (conversations) and " in said
    assert PASSWORD not in said + str(stats)


def _own_address() -> str:
    """An address of this machine that is not on loopback; empty if there is none. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        address: str = probe.getsockname()[0]
        return "" if is_loopback(address) else address


@NEEDS_NGINX
@pytest.mark.skipif(not _own_address(), reason="this machine has no address but those on loopback")
def test_on_a_proxys_own_machine_nginx_can_be_told_not_to_pass_for_a_program_there(tmp_path: Path) -> None:
    ports = free_port(), free_port()
    with Mitmdump(tmp_path) as proxy:
        servers = [f"server {{ listen 127.0.0.1:{ports[0]}; proxy_pass 127.0.0.1:{proxy.port}; }}"]
        servers += [
            f"server {{ listen 127.0.0.1:{ports[1]}; proxy_pass 127.0.0.1:{proxy.port}; proxy_bind {_own_address()}; }}"
        ]
        ask = b"GET http://foundry.local/ready HTTP/1.1\r\nHost: foundry.local\r\n\r\n"
        with nginx("stream {" + "\n".join(servers) + "}", tmp_path):
            assert [plain(port, ask).status for port in ports] == [200, 403]


@pytest.mark.parametrize("given", [f"redis://:{PASSWORD}@127.0.0.1:port/0", "@nowhere"])
def test_an_address_that_is_none_ends_the_start_with_one_line(given: str, tmp_path: Path) -> None:
    proxy = Mitmdump(tmp_path, options={"foundry_state_url": given})
    assert proxy.exit_code() == 1
    lines = [line for line in proxy.log().splitlines() if line]
    assert any("foundry_state_url: " in line for line in lines)
    assert "Traceback" not in proxy.log()
    assert PASSWORD not in proxy.log()

"""What may happen to a proxy while many use it: every request is answered, no prompt cache breaks, recalls are right.

What else may happen, and where it is tested, is listed in docs/robustness.md.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import sqlite3
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from conversations.sqlite_store import _SCHEMA_VERSION
from demo.answers import Answer
from demo.stand_in import Request
from tests.e2e.claude_code import NEEDS_CLIENT
from tests.e2e.client import Tunnel, request
from tests.e2e.conftest import FOUNDRY_HOST, HARNESS
from tests.e2e.crowd import Crowd, arrivals, breaks, has_stubs, recalls
from tests.e2e.laws import messages_exchanges, verify
from tests.e2e.mitmdump import ADDON, Mitmdump, wait_for
from tests.e2e.recording_origin import OK, Received, RecordingOrigin
from tests.e2e.route import route
from tests.e2e.scripted import bash, make_project
from tests.e2e.set_aside_sessions import BALANCED, WARM, by_turn, look_around
from tests.e2e.test_warm_conversations import Talk

pytestmark = pytest.mark.e2e

COLD = BALANCED | {"foundry_cache_ttl": "0"}
"""Every request meets a cold cache: old results are set aside at each."""
SECONDS = float(os.environ.get("FOUNDRY_TEST_SECONDS", "4"))
"""How long the crowd of 200 works: 600 by hand."""
STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"11\r\nevent: ping\n\n    \r\n"
)


@dataclass
class Place:
    """Where proxies remember conversations together, and the stand-in that they lead to."""

    directory: Path
    origin: RecordingOrigin
    state: Path

    @contextlib.contextmanager
    def running(self, options: dict[str, str], addon: Path = ADDON, *before: Path) -> Iterator[Mitmdump]:
        """A proxy with the scripts `before` the addon."""
        home = self.directory / f"proxy-{len(list(self.directory.glob('proxy-*')))}"
        home.mkdir()
        shared = {"confdir": str(self.directory / "ca"), "foundry_state_dir": str(self.state)}
        with Mitmdump(
            home,
            *(HARNESS / "restless.py", *before, addon, HARNESS / "to_origin.py"),
            options=self.origin.options | shared | options,
            environment=self.origin.environment | {"RESTLESS": str(self.orders)},
        ) as proxy:
            yield proxy

    @property
    def orders(self) -> Path:
        return self.directory / "orders"

    def order(self, line: str) -> None:
        """Have the proxy that runs do as harness/restless.py says."""
        with self.orders.open("a") as file:
            file.write(f"{line}\n")
        count = str(len(self.orders.read_text().splitlines()))
        done = Path(f"{self.orders}.done")
        assert wait_for(lambda: done.exists() and done.read_text() == count)

    @contextlib.contextmanager
    def disk_held(self) -> Iterator[None]:
        """Let what is written for a request wait as long as this lasts; from then on `waits` is there."""
        held = Path(f"{self.orders}.held")
        held.touch()
        try:
            yield
        finally:
            held.unlink()

    @property
    def waits(self) -> Path:
        return Path(f"{self.orders}.waits")

    @property
    def certificate(self) -> Path:
        return self.directory / "ca" / "mitmproxy-ca-cert.pem"

    @property
    def file(self) -> Path:
        return self.state / "conversations.sqlite3"

    def begin(self, talks: list[Talk]) -> None:
        """Have the conversations sent so far that old results are set aside in each."""
        with self.running(COLD) as proxy:
            self.say(proxy, talks, 7)
            self.origin.received.clear()
            self.say(proxy, talks, 8)
        assert has_stubs(self.origin.received)

    def say(self, proxy: Mitmdump, talks: list[Talk], turns: int) -> None:
        """Send one request of each, at once."""
        crowd = Crowd(talks, lambda: proxy.port, proxy.certificate)
        crowd.start(turns, turns)
        crowd.join()
        assert set(crowd.statuses) == {200}
        assert len(crowd.statuses) == len(talks)


@pytest.fixture
def place(tmp_path: Path, origin: RecordingOrigin) -> Place:
    origin.forget()
    return Place(tmp_path, origin, tmp_path / "state")


def talks_of(count: int) -> list[Talk]:
    return [Talk(number) for number in range(count)]


# The proxy


def test_killed_at_any_moment_it_begins_again_where_it_was(place: Place) -> None:
    """Each time with another number of requests on their way; clients send again what was not answered."""
    moments = random.Random(7)
    talks = talks_of(12)
    place.begin(talks)
    ports: list[int] = []
    crowd = Crowd(talks, lambda: ports[-1], place.certificate)
    for _ in range(4):
        with place.running(WARM) as proxy:
            ports.append(proxy.port)
            before = len(place.origin.received)
            crowd.start(9)
            assert wait_for(lambda before=before: len(place.origin.received) > before + moments.randrange(1, 30))  # type: ignore[misc]
            proxy.kill()
            crowd.stop()
    with place.running(WARM) as proxy:
        ports.append(proxy.port)
        crowd.start(9, max(crowd.turns.values()))
        crowd.join()
    assert crowd.failures >= 4
    assert breaks(place.origin.received) == []
    assert has_stubs(place.origin.received)


def test_two_hundred_conversations_at_once(place: Place) -> None:
    """And in the end each path that was shown brings back what it stood for."""
    talks = talks_of(200)
    place.begin(talks)
    patient = (WARM, ADDON, HARNESS / "patient.py")
    with place.running(*patient) as one, place.running(*patient) as other:
        ports = [one.port, other.port]
        crowd = Crowd(talks, lambda: random.choice(ports), place.certificate, threads=16, keeps_connections=False)
        crowd.start(9)
        time.sleep(SECONDS)
        assert wait_for(lambda: min(crowd.turns.values()) > 9 + 3, 120), "most have gone through both by then"
        crowd.stop()
        assert (set(crowd.statuses), crowd.failures) == ({200}, 0)
        assert breaks(place.origin.received) == []
        with Tunnel(one.port, FOUNDRY_HOST) as tunnel:
            tunnel.start_tls(FOUNDRY_HOST, one.certificate)

            def send(raw: bytes) -> bytes:
                assert tunnel.exchange(request(FOUNDRY_HOST, raw)).status == 200
                return place.origin.received[-1].body

            found = arrivals(place.origin.received)
            for talk in talks[:5]:
                assert recalls(talk, crowd.turns[talk.number] - 1, found[talk.number][-1], send)
        assert "failed (" not in one.log() + other.log()


def test_settings_change_and_the_script_is_loaded_again_while_requests_come(place: Place) -> None:
    addons = place.directory / "addons"
    shutil.copytree(ADDON.parent, addons, ignore=shutil.ignore_patterns("__pycache__"))
    talks = talks_of(24)
    place.begin(talks)
    with place.running(WARM, addons / ADDON.name) as proxy:
        crowd = Crowd(talks, lambda: proxy.port, proxy.certificate)
        crowd.start(9)

        def goes_on() -> bool:
            """Whether every conversation does."""
            before = dict(crowd.turns)
            return wait_for(lambda: all(turns > before[talk] + 1 for talk, turns in crowd.turns.items()), 60)

        for line in (
            "foundry_memory_mb=8",
            "foundry_mode=lossless",
            "foundry_memory_mb=64",
            "foundry_recent_tokens=5000",
            "foundry_budget_ms=10",
            "foundry_mode=observe",
            "foundry_mode=off",
            "foundry_mode=balanced",
            "foundry_budget_ms=5000",
        ):
            place.order(line)
            assert goes_on()
        place.order("disk=0.25")  # so that many wait to be decided about
        (addons / ADDON.name).touch()
        assert wait_for(lambda: proxy.log().count("Loading script") > 3, 60)
        place.order("disk=0")
        assert goes_on()
        for folder in (place.directory / "elsewhere", place.state):
            place.order(f"foundry_state_dir={folder}")
            assert goes_on()
        crowd.stop()
        log = proxy.log()
    assert (set(crowd.statuses), crowd.failures) == ({200}, 0)
    assert min(crowd.turns.values()) > 9
    assert breaks(place.origin.received) == []
    assert "Traceback" not in log


def test_the_clock_of_the_machine_jumps(place: Place) -> None:
    talks = talks_of(4)
    place.begin(talks)
    with place.running(BALANCED | {"foundry_cache_ttl": "300"}) as proxy:
        for turn, seconds in enumerate((0, 3600, 0, -3600, 10**7, 310, 0), 9):
            place.order(f"clock={seconds}")
            place.say(proxy, talks, turn)
    assert breaks(place.origin.received) == []
    assert has_stubs(place.origin.received)


# What it remembers


def test_whatever_happens_to_the_folder_that_it_remembers_in(place: Place) -> None:
    talks = talks_of(4)
    place.begin(talks)
    broken: dict[str, list[str]] = {}
    with place.running(WARM) as proxy:
        place.order("rest=0")  # or it would look away while most of this happens
        turn = 8
        for event, act in FOLDER.items():
            with act(place):
                for _ in range(2):
                    turn += 1
                    place.say(proxy, talks, turn)
            broken[event] = breaks(place.origin.received)
        log = proxy.log()
    assert broken == {event: [] for event in FOLDER}
    assert has_stubs(place.origin.received)
    assert log.count("What is remembered of conversations cannot be kept in ") == 1
    assert "failed (" not in log
    assert "Traceback" not in log


@contextlib.contextmanager
def _locked(place: Place) -> Iterator[None]:
    other = sqlite3.connect(place.file, timeout=60, autocommit=True)
    try:
        other.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        other.close()


@contextlib.contextmanager
def _slow(place: Place) -> Iterator[None]:
    place.order("disk=0.3")
    try:
        yield
    finally:
        place.order("disk=0")


@contextlib.contextmanager
def _overwritten(place: Place) -> Iterator[None]:
    for path in place.state.iterdir():
        # Not cut off first: that would end a process that has the file in its memory, as SQLite has one of them.
        with contextlib.suppress(FileNotFoundError), path.open("r+b") as file:
            file.write(b"garbage " * max(4096, path.stat().st_size // 8))
    yield


@contextlib.contextmanager
def _deleted(place: Place) -> Iterator[None]:
    _remove(place.state)
    yield


@contextlib.contextmanager
def _a_file(place: Place) -> Iterator[None]:
    new = place.directory / "new"
    new.write_bytes(b"")
    _put(new, place.state)
    yield
    place.state.unlink()


@contextlib.contextmanager
def _newer(place: Place) -> Iterator[None]:
    new = place.directory / "new"
    new.mkdir()
    with contextlib.closing(sqlite3.connect(new / place.file.name)) as database:
        database.execute(f"PRAGMA user_version = {_SCHEMA_VERSION + 1}")
    _put(new, place.state)
    yield
    with contextlib.closing(sqlite3.connect(place.file)) as database:
        assert database.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,), "what is newer is left alone"


def _put(new: Path, folder: Path) -> None:
    """Put `new` in the place of a folder, which the proxy may make again meanwhile."""
    for _ in range(1000):
        _remove(folder)
        with contextlib.suppress(OSError):
            new.rename(folder)
            return
    pytest.fail(f"{folder} is there again and again")


def _remove(folder: Path) -> None:
    """At once: the proxy may write into it meanwhile."""
    gone = folder.with_name("gone")
    with contextlib.suppress(FileNotFoundError):
        folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)
    assert not gone.exists()


FOLDER: dict[str, Callable[[Place], contextlib.AbstractContextManager[None]]] = {
    "nothing": lambda _: contextlib.nullcontext(),
    "another process writes and does not end": _locked,
    "the disk is slow": _slow,
    "the files are overwritten": _overwritten,
    "the folder is deleted": _deleted,
    "a file stands in its place": _a_file,
    "a newer version was here": _newer,
    "nothing any more": lambda _: contextlib.nullcontext(),
}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as stream:
        while stream.write(b"x" * 4096):
            pass


def test_the_disk_is_full_and_has_room_again(place: Place, small_disk: Path) -> None:
    place.state = small_disk / "state"
    talks = talks_of(6)
    place.begin(talks)
    filler = small_disk / "filler"
    with place.running(WARM) as proxy:
        place.say(proxy, talks, 9)
        with pytest.raises(OSError, match="No space left"):
            _fill(filler)
        for turn in range(10, 16):
            place.say(proxy, talks, turn)
        filler.unlink()
        time.sleep(5.5)  # for so long the file is left alone after it could not be used
        place.say(proxy, talks, 16)
        assert "What is remembered of conversations cannot be kept in " in proxy.log()
        proxy.kill()
    with place.running(WARM) as proxy:
        place.say(proxy, talks, 17)
    assert breaks(place.origin.received) == []
    assert has_stubs(place.origin.received)


def test_the_disk_may_only_be_read_when_it_starts(place: Place, small_disk: Path) -> None:
    place.state = small_disk / "state"
    place.state.mkdir()
    talks = talks_of(4)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with place.running(WARM) as proxy:
        for turn in (1, 2, 3):
            place.say(proxy, talks, turn)
        subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
        time.sleep(5.5)  # as above
        place.say(proxy, talks, 4)
        assert "What is remembered of conversations cannot be kept in " in proxy.log()
        proxy.kill()
    with place.running(WARM) as proxy:
        place.say(proxy, talks, 5)
    assert breaks(place.origin.received) == []
    assert len(place.origin.received[-1].body) < len(talks[0].body(5)) * 0.9


def test_a_slow_disk_holds_up_nobody_s_stream(place: Place) -> None:
    """When a disk was slow once, no more is decided on the event loop: its next write would stop all streams."""
    talk, other = talks_of(2)
    place.begin([talk])
    goes_on = threading.Event()

    def drip(received: Received, send: Callable[[bytes], None]) -> None:
        if b"matter 1." not in received.body:
            send(OK)
            return
        send(STREAM)
        if goes_on.wait(300):
            send(b"6\r\n: x\n\n \r\n0\r\n\r\n")

    def read(tunnel: Tunnel, until: bytes) -> None:
        found = b""
        while until not in found:
            more = tunnel.socket.recv(4096)
            assert more, found
            found += more

    with place.running(WARM) as proxy:
        place.order("disk=1")
        place.say(proxy, [talk], 9)  # this one may still be decided on the event loop
        place.order("disk=0")
        place.origin.answer = drip
        crowd = Crowd([talk], lambda: proxy.port, proxy.certificate)
        with Tunnel(proxy.port, FOUNDRY_HOST) as tunnel:
            tunnel.start_tls(FOUNDRY_HOST, proxy.certificate)
            tunnel.socket.sendall(request(FOUNDRY_HOST, other.body(1)))
            read(tunnel, b"event: ping")
            with place.disk_held():
                crowd.start(10, 10)
                assert wait_for(place.waits.exists)
                goes_on.set()
                read(tunnel, b": x")
                assert crowd.statuses == []
        crowd.join()
    assert (crowd.statuses, crowd.failures) == ([200], 0)


# The service, and the client


@pytest.fixture(scope="module")
def bare(origin: RecordingOrigin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mitmdump]:
    """A mitmdump without the addon, which passes answers on as they come, as the addon has it do."""
    with Mitmdump(
        tmp_path_factory.mktemp("bare"),
        HARNESS / "to_origin.py",
        options=origin.options | {"stream_large_bodies": "1"},
        environment=origin.environment,
    ) as proxy:
        yield proxy


def test_the_service_or_the_client_fails_in_the_middle(place: Place, bare: Mitmdump) -> None:
    """What mitmproxy says of it is what it says without the addon; the next turns go on as before."""
    talks = talks_of(len(SERVICE))
    alone = [_answer(bare, place.origin, fault, talk) for talk, fault in zip(talks, SERVICE.values(), strict=True)]
    place.origin.forget()
    place.begin(talks)
    with place.running(WARM) as proxy:
        for talk, (event, fault), said in zip(talks, SERVICE.items(), alone, strict=True):
            found = _answer(proxy, place.origin, fault, talk)
            assert found.startswith(fault.begins), event
            assert fault.holds in found, event
            assert found == said, event
            for share in (0.2, 0.9):
                _leaves_while_sending(proxy, talk, share)
        place.origin.answer = lambda _received, send: send(OK)
        for turn in (9, 10, 11):
            place.say(proxy, talks, turn)
        log = proxy.log()
    assert breaks(place.origin.received) == []
    assert has_stubs(place.origin.received)
    assert "failed (" not in log


def _answer(proxy: Mitmdump, origin: RecordingOrigin, fault: Fault, talk: Talk) -> bytes:
    """What a client gets until it leaves, or the connection ends. Raises TimeoutError where neither happens."""
    origin.answer = fault.act
    before = len(origin.received)
    with Tunnel(proxy.port, FOUNDRY_HOST) as tunnel:
        tunnel.start_tls(FOUNDRY_HOST, proxy.certificate)
        tunnel.socket.sendall(request(FOUNDRY_HOST, talk.body(9)))
        assert wait_for(lambda: len(origin.received) > before)
        if not fault.holds:
            time.sleep(0.3)  # for what should not come
            tunnel.socket.settimeout(0.0)
            with contextlib.suppress(ssl.SSLWantReadError):
                return tunnel.socket.recv(4096)
        found = b""
        while (not fault.leaves or fault.holds not in found) and (more := tunnel.socket.recv(4096)):
            found += more
    return found


def _leaves_while_sending(proxy: Mitmdump, talk: Talk, share: float) -> None:
    raw = request(FOUNDRY_HOST, talk.body(9))
    with Tunnel(proxy.port, FOUNDRY_HOST) as tunnel:
        tunnel.start_tls(FOUNDRY_HOST, proxy.certificate)
        tunnel.socket.sendall(raw[: int(share * len(raw))])
        tunnel.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset


def _resets(_received: Received, _send: Callable[[bytes], None]) -> None:
    raise OSError("made up")


def _says_nothing(_received: Received, send: Callable[[bytes], None]) -> None:
    send(b"\x00" * 100)
    raise OSError("made up")


def _stalls(_received: Received, _send: Callable[[bytes], None]) -> None:
    time.sleep(2)


def _refuses(_received: Received, send: Callable[[bytes], None]) -> None:
    send(b"HTTP/1.1 529 Overloaded\r\nContent-Length: 2\r\n\r\n{}")


def _cuts(_received: Received, send: Callable[[bytes], None]) -> None:
    send(STREAM)
    raise OSError("made up")


def _drips(_received: Received, send: Callable[[bytes], None]) -> None:
    send(STREAM)
    time.sleep(2)


class Fault(NamedTuple):
    """What the service does, and what a client gets: how that `begins`, and what it `holds`, whereupon it may leave."""

    act: Callable[[Received, Callable[[bytes], None]], None]
    begins: bytes
    holds: bytes
    leaves: bool = False


SERVICE = {
    "it hangs up": Fault(_resets, b"HTTP/1.1 502 ", b"</html>"),
    "it says what is no HTTP": Fault(_says_nothing, b"HTTP/1.1 502 ", b"</html>"),
    "it stalls, and the client leaves": Fault(_stalls, b"", b"", leaves=True),
    "it refuses": Fault(_refuses, b"HTTP/1.1 529 ", b"\r\n\r\n{}", leaves=True),
    "its stream is cut": Fault(_cuts, b"HTTP/1.1 200 ", b"event: ping\n\n"),
    "the client leaves in the middle of a stream": Fault(_drips, b"HTTP/1.1 200 ", b"event: ping\n\n", leaves=True),
}


# The real client


@NEEDS_CLIENT
def test_claude_code_goes_on_though_the_proxy_is_killed_under_it(tmp_path: Path) -> None:
    """It sends the same again, and what arrives is the same again."""
    work = tmp_path / "work"
    make_project(work)
    killed: list[Request] = []
    with contextlib.ExitStack() as restarted:

        def kill(request: Request) -> Answer:
            if not killed:
                killed.append(request)
                way.proxy.kill()
                restarted.enter_context(way.proxy.launched())
                assert wait_for(way.proxy._is_ready, 120)
            return Answer((bash("cat orders.py prices.py"),))

        script = by_turn(*look_around(work)[:2], kill, Answer((bash("cat quotes.py prices.py"),)))
        with route(script, tmp_path / "route", addon=True, **WARM) as way:
            run = way.client(work).run("Look around.")
            way.stand_in._requests.remove(killed[0])  # nobody has its answer
            found = messages_exchanges(way.exchanges())

    assert (run.code, run.out) == (0, "Done.\n"), run.err
    assert sum(exchange.arrived.body == killed[0].body for exchange in found) == 1
    verify(found)
    assert len(killed[0].body) < max(
        len(exchange.sent) for exchange in found if exchange.arrived.body == killed[0].body
    )

"""Many conversations through a real mitmdump at once: what is in the prompt cache is never changed."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.client import Tunnel, request
from tests.e2e.conftest import FOUNDRY_HOST, HARNESS
from tests.e2e.laws import STUB
from tests.e2e.mitmdump import ADDON, Mitmdump, wait_for
from tests.e2e.recording_origin import OK, Received, RecordingOrigin
from tests.e2e.set_aside_sessions import BALANCED, WARM

pytestmark = pytest.mark.e2e

LIFETIME = 0.5
SHORT = {**BALANCED, "foundry_cache_ttl": f"{LIFETIME:g}"}
SOME = 34
TOOLS = [{"name": "Read", "description": "Reads a file.", "input_schema": {"type": "object"}}]

type Ending = Callable[[Received, Callable[[bytes], None]], None]


@dataclass
class Talk:
    """A conversation, and the bodies that arrived of it, each with the number of turns that it has."""

    number: int
    arrived: list[bytes] = field(default_factory=list)

    def body(self, turns: int) -> bytes:
        """The request with so many results; the messages stand last, so that it is the beginning of the next one."""
        messages: list[dict[str, Any]] = [{"role": "user", "content": f"Look into the matter {self.number}."}]
        for turn in range(turns):
            use_id = f"toolu_{self.number:04}_{turn:04}"
            call, text = self._turn(turn)
            use = {"type": "tool_use", "id": use_id, **call}
            result = {"tool_use_id": use_id, "type": "tool_result", "content": text}
            messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
        body = {"model": "made-up", "system": "Be brief.", "tools": TOOLS, "max_tokens": 9, "messages": messages}
        return json.dumps(body, separators=(",", ":")).encode()

    def _turn(self, turn: int) -> tuple[dict[str, Any], str]:
        words = random.Random(f"{self.number} {turn}")
        lines = [f"value_{words.randrange(10**6)} = compute({words.randrange(10**6)}, {row})" for row in range(26)]
        if turn % 2:
            command = f"./show {words.randrange(10**6)}"
            return {"name": "Bash", "input": {"command": command}}, "\n".join(
                [*lines[:12], *["the very same line"] * 15]
            )
        path = f"/made-up/part_{words.randrange(3)}.py"
        text = "\n".join(f"{row}\t{line}" for row, line in enumerate(lines, 1))
        return {"name": "Read", "input": {"file_path": path}}, text

    def keeps_prefix(self) -> bool:
        """Whether what arrived last begins with what arrived before it."""
        return len(self.arrived) < 2 or self.arrived[-1].startswith(self.arrived[-2].removesuffix(b"]}"))


class Proxies:
    """Proxies that come one after the other and remember conversations together."""

    def __init__(self, directory: Path, origin: RecordingOrigin) -> None:
        self.directory = directory
        self._origin = origin

    @contextmanager
    def running(self, options: dict[str, str]) -> Iterator[Mitmdump]:
        home = self.directory / f"proxy-{len(list(self.directory.glob('proxy-*')))}"
        home.mkdir(parents=True)
        shared = {"confdir": str(self.directory / "ca"), "foundry_state_dir": str(self.directory / "state")}
        with Mitmdump(
            home,
            *(ADDON, HARNESS / "to_origin.py"),
            options=self._origin.options | shared | options,
            environment=self._origin.environment,
        ) as proxy:
            yield proxy

    def say(self, proxy: Mitmdump, talks: list[Talk], turns: int, *, trusted: Path | None = None) -> None:
        """Send one request of each conversation."""
        with Tunnel(proxy.port, FOUNDRY_HOST) as tunnel:
            tunnel.start_tls(FOUNDRY_HOST, trusted or proxy.certificate)
            for talk in talks:
                assert tunnel.exchange(request(FOUNDRY_HOST, talk.body(turns))).status == 200
                talk.arrived.append(self._origin.received[-1].body)


@pytest.fixture
def proxies(tmp_path: Path, origin: RecordingOrigin) -> Proxies:
    origin.forget()
    return Proxies(tmp_path / "proxies", origin)


def test_a_hundred_warm_conversations_keep_their_cache_whatever_happens_to_the_proxy(
    proxies: Proxies, origin: RecordingOrigin
) -> None:
    """Begun with results set aside, without the proxy, and lossless; then restarts, other modes, and late turns."""
    aside, late, lossless = ([Talk(kind * 100 + number) for number in range(SOME)] for kind in range(3))
    talks = [*aside, *late, *lossless]
    broken: dict[str, int] = {}

    def go_on(event: str, proxy: Mitmdump, turns: int) -> None:
        proxies.say(proxy, talks, turns)
        broken[event] = sum(not talk.keeps_prefix() for talk in talks)

    for talk in late:
        talk.arrived.append(talk.body(7))
    with proxies.running(SHORT) as proxy:
        proxies.say(proxy, aside, 6)
        time.sleep(2 * LIFETIME)
        proxies.say(proxy, aside, 7)
    with proxies.running(WARM | {"foundry_mode": "lossless"}) as proxy:
        proxies.say(proxy, lossless, 6)
        proxies.say(proxy, lossless, 7)
        broken["no event"] = sum(not talk.keeps_prefix() for talk in lossless)
    assert all(STUB.search(talk.arrived[-1].decode()) for talk in aside)
    assert all(talk.arrived[-1] == talk.body(7) for talk in late)
    assert all(len(talk.arrived[-1]) < len(talk.body(7)) for talk in lossless)

    with proxies.running(WARM) as proxy:
        go_on("late start, or another mode", proxy, 8)
        go_on("a retry", proxy, 8)
        go_on("the next turn", proxy, 9)
        proxy.kill()
    with proxies.running(WARM | {"foundry_mode": "observe"}) as proxy:
        go_on("killed, and observe", proxy, 10)
    with proxies.running(WARM | {"foundry_mode": "lossless"}) as proxy:
        go_on("lossless", proxy, 11)
    with proxies.running(WARM | {"foundry_recent_tokens": "1000", "foundry_least_tokens": "500"}) as proxy:
        go_on("other settings", proxy, 12)
    with proxies.running(WARM) as one, proxies.running(WARM) as other:
        go_on("one of two proxies", one, 13)
        go_on("the other", other, 14)
        go_on("the one again", one, 15)

    assert broken == dict.fromkeys(broken, 0)
    assert len(broken) == 10
    assert all(len(talk.arrived[-1]) < len(talk.body(15)) for talk in talks)
    assert len(origin.received) == 4 * SOME + 9 * len(talks)
    with proxies.running(BALANCED | {"foundry_cache_ttl": "0"}) as proxy:
        go_on("a pause", proxy, 16)
    assert broken["a pause"] == len(talks)  # the check notices what it is there to notice


def test_turns_that_went_past_the_proxy_are_left_as_they_went(proxies: Proxies, origin: RecordingOrigin) -> None:
    """With mode off every request is tunnelled: what was new in them is in the cache as the client wrote it."""
    talks = [Talk(number) for number in range(5)]
    with proxies.running(WARM) as proxy:
        proxies.say(proxy, talks, 3)
    with proxies.running(WARM | {"foundry_mode": "off"}) as proxy:
        proxies.say(proxy, talks, 4, trusted=origin.certificate)
        proxies.say(proxy, talks, 5, trusted=origin.certificate)
        assert [talk.arrived[-1] for talk in talks] == [talk.body(5) for talk in talks]
    with proxies.running(WARM) as proxy:
        proxies.say(proxy, talks, 6)
    for talk in talks:
        before, *_, after = (json.loads(body)["messages"] for body in talk.arrived)
        sent = json.loads(talk.body(6))["messages"]
        assert after[: len(before)] == before
        assert after[len(before) : 11] == sent[len(before) : 11]
        assert after[11:] != sent[11:]


def test_only_what_may_have_been_answered_makes_a_cold_conversation_warm(
    proxies: Proxies, origin: RecordingOrigin
) -> None:
    """After a pause, a request that ends in one of many ways, and the next turn: cold again, or warm by now."""
    ways: dict[str, tuple[Ending, bool]] = {
        "answered": (_answering("200 OK"), True),
        "400": (_answering("400 Bad Request"), False),
        "429": (_answering("429 Too Many Requests"), False),
        "529": (_answering("529 Overloaded"), False),
        "the service hung up": (_hang_up, False),
        "the client hung up": (_be_slow, True),  # the service may have taken the prompt all the same
    }

    def ended_in_time(talks: dict[str, Talk], lifetime: float) -> bool:
        """Send all of it; whether the next turns came before the cache was cold anyway."""
        with proxies.running(BALANCED | {"foundry_cache_ttl": f"{lifetime:g}"}) as proxy:
            proxies.say(proxy, list(talks.values()), 4)
            time.sleep(lifetime + 0.1)
            started = time.monotonic()
            for way, (ending, _) in ways.items():
                origin.forget()
                origin.answer = ending
                with Tunnel(proxy.port, FOUNDRY_HOST) as tunnel:
                    tunnel.start_tls(FOUNDRY_HOST, proxy.certificate)
                    tunnel.socket.sendall(request(FOUNDRY_HOST, talks[way].body(8)))
                    assert wait_for(lambda: origin.received)
                    if ending is not _be_slow:
                        tunnel.socket.recv(1)
                talks[way].arrived.append(origin.received[0].body)
            origin.forget()
            proxies.say(proxy, list(talks.values()), 14)
            return time.monotonic() - started < lifetime

    for attempt, lifetime in enumerate((4.0, 12.0, 36.0)):  # the last is for a machine that has much else to do
        talks = {way: Talk(10 * attempt + number) for number, way in enumerate(ways)}
        if ended_in_time(talks, lifetime):
            break
    else:
        pytest.fail("this machine is too slow for this test")
    for way, (_, is_confirmed) in ways.items():
        ended, last = (len(STUB.findall(body.decode())) for body in talks[way].arrived[1:])
        assert ended, way
        assert (talks[way].keeps_prefix(), last == ended) == (is_confirmed, is_confirmed), way


def test_a_conversation_that_only_fits_with_results_set_aside_does_not_go_raw_when_its_memory_is_lost(
    proxies: Proxies,
) -> None:
    """It can have grown so only because results were set aside; as the client writes it, no model could read it."""
    fits, too_long = Talk(3), Talk(4)
    turns = 3_600
    assert 700_000 < len(fits.body(turns // 2)) < 3_000_000
    assert len(too_long.body(turns)) > 3_500_000
    with proxies.running(WARM) as proxy:
        proxies.say(proxy, [fits], turns // 2)
        proxies.say(proxy, [too_long], turns)
    assert not STUB.search(fits.arrived[0].decode())
    assert len(STUB.findall(too_long.arrived[0].decode())) > turns // 2
    assert len(too_long.arrived[0]) < 3_000_000


def _answering(line: str) -> Ending:
    answer = f"HTTP/1.1 {line}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    return lambda _received, send: send(answer)


def _hang_up(_received: Received, _send: Callable[[bytes], None]) -> None:
    raise OSError("made up")


def _be_slow(_received: Received, send: Callable[[bytes], None]) -> None:
    time.sleep(1)
    send(OK)

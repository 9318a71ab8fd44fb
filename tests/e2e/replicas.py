"""Several mitmdump processes behind one address, and conversations whose requests go through any of them."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

from demo.stand_in import Request
from tests.e2e.client import Tunnel, request
from tests.e2e.conftest import FOUNDRY_HOST, HARNESS
from tests.e2e.laws import Exchange
from tests.e2e.mitmdump import ADDON, Mitmdump
from tests.e2e.recording_origin import Received, RecordingOrigin

__all__ = ["Attempt", "Talk", "exchanges", "replica_of", "replicas", "say"]

_TOOLS = [{"name": "Read", "description": "Reads a file.", "input_schema": {"type": "object"}}]
_PATH = "/anthropic/v1/messages"


@contextmanager
def replicas(
    directory: Path, origin: RecordingOrigin, count: int, options: dict[str, str], *before: Path
) -> Iterator[tuple[list[Mitmdump], ExitStack]]:
    """So many proxies on ports of their own, with one authority and the scripts `before` the addon.

    Each remembers in a folder of its own, unless told.
    """
    with ExitStack() as stack:
        made = []
        for number in range(count):
            home = directory / f"replica-{number}"
            home.mkdir(parents=True)
            shared = {"confdir": str(directory / "ca"), "foundry_state_dir": str(home / "state")}
            proxy = Mitmdump(
                home,
                *(*before, ADDON, HARNESS / "names_itself.py", HARNESS / "to_origin.py"),
                options=origin.options | shared | options,
                environment={**origin.environment, "REPLICA": str(number)},
            )
            made.append(stack.enter_context(proxy))
        yield made, stack


@dataclass(frozen=True)
class Attempt:
    """A request that was tried once: what was sent, when, and whether it was answered; seconds of `time.monotonic`."""

    name: str
    body: bytes
    headers: tuple[tuple[str, str], ...]
    begun: float
    ended: float
    is_answered: bool


@dataclass
class Talk:
    """A conversation. Each of its turns is a reading of a file, or of the same file again."""

    number: int
    turns: int = 0
    attempts: list[Attempt] = field(default_factory=list)

    def body(self) -> bytes:
        """The request with all results so far."""
        messages: list[dict[str, Any]] = [{"role": "user", "content": f"Look into the matter {self.number}."}]
        for turn in range(self.turns):
            use_id = f"toolu_{self.number:04}_{turn:04}"
            path = f"/made-up/part_{turn % 3}.py"
            use = {"type": "tool_use", "id": use_id, "name": "Read", "input": {"file_path": path}}
            result = {"tool_use_id": use_id, "type": "tool_result", "content": self._file(turn)}
            messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
        body = {"model": "made-up", "system": "Be brief.", "tools": _TOOLS, "max_tokens": 9, "messages": messages}
        return json.dumps(body, separators=(",", ":")).encode()

    def received(self, origin: RecordingOrigin) -> list[Received]:
        """What arrived of it."""
        return [one for one in origin.received if _header(one, "X-Claude-Code-Session-Id") == str(self.number)]

    def _file(self, turn: int) -> str:
        words = random.Random(f"{self.number} {turn % 3}")
        lines = [f"value_{words.randrange(10**6)} = compute({words.randrange(10**6)}, {row})" for row in range(24)]
        lines[turn] = f"changed = {turn}"
        return "\n".join(f"{row}\t{line}" for row, line in enumerate(lines, 1))


def say(talk: Talk, port: int, *, certificate: Path) -> Attempt:
    """Send the conversation's next request on a connection of its own, once."""
    body = talk.body()
    name = f"{talk.number}-{talk.turns}-{len(talk.attempts)}"
    own = {"X-Claude-Code-Session-Id": str(talk.number), "X-Attempt": name}
    raw = request(FOUNDRY_HOST, body, *(f"{key}: {value}" for key, value in own.items()), path=_PATH)
    begun = time.monotonic()
    try:
        with Tunnel(port, FOUNDRY_HOST) as tunnel:
            tunnel.start_tls(FOUNDRY_HOST, certificate)
            is_answered = tunnel.exchange(raw).status == 200
    except (OSError, IndexError, ValueError, HTTPException):  # the connection broke, before the first answer, or in it
        is_answered = False
    headers = [tuple(line.split(": ", 1)) for line in raw.split(b"\r\n\r\n")[0].decode().split("\r\n")[1:]]
    attempt = Attempt(name, body, tuple((key, value) for key, value in headers), begun, time.monotonic(), is_answered)
    talk.attempts.append(attempt)
    return attempt


def exchanges(talk: Talk, origin: RecordingOrigin) -> list[Exchange]:
    """What was sent of a conversation and how it arrived, in the order in which it was sent."""
    arrived = {_header(received, "X-Attempt"): received for received in talk.received(origin)}
    assert all(attempt.name in arrived for attempt in talk.attempts if attempt.is_answered)
    return [
        Exchange(
            *("POST", _PATH, attempt.headers, attempt.body),
            _as_arrived(number, attempt, arrived[attempt.name]),
            attempt.begun,
        )
        for number, attempt in enumerate(talk.attempts)
        if attempt.name in arrived
    ]


def replica_of(received: Received) -> str:
    """Which replica it went through."""
    return _header(received, "x-replica")


def _as_arrived(number: int, attempt: Attempt, received: Received) -> Request:
    headers = tuple((name, value) for name, value in received.headers if name != "x-replica")
    return Request(number, "POST", _PATH, headers, received.body, attempt.ended)


def _header(received: Received, wanted: str) -> str:
    return next(value for name, value in received.headers if name == wanted)

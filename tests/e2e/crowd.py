"""Many clients at once, each of which goes on whatever happens to its connection, as Claude Code does."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.client import Tunnel, request
from tests.e2e.conftest import FOUNDRY_HOST
from tests.e2e.laws import STUB
from tests.e2e.recording_origin import Received
from tests.e2e.test_warm_conversations import Talk

__all__ = ["Crowd", "arrivals", "breaks", "has_stubs", "recalls"]

_MATTER = re.compile(rb"Look into the matter (\d+)\.")
_PAUSE = 0.05
_NOT_THERE = "File does not exist. Note: your current working directory is /made-up."


@dataclass
class Crowd:
    """Threads that send the next turns of their conversations to the proxy at `port()`, one after the other.

    A request that is not answered is sent again. `statuses` are those of all answers. Each thread keeps its connection
    for all of its conversations, or, where it does not, takes another for each of their turns.
    """

    talks: Sequence[Talk]
    port: Callable[[], int]
    certificate: Path
    threads: int = 8
    keeps_connections: bool = True
    turns: dict[int, int] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    failures: int = 0
    problems: list[BaseException] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)
    _running: list[threading.Thread] = field(default_factory=list)

    def start(self, first: int, last: int = 10**6) -> None:
        """Send the turns from `first` on, up to `last` of each conversation."""
        self._end.clear()
        self.turns = {talk.number: max(first, self.turns.get(talk.number, 0)) for talk in self.talks}
        shares = [self.talks[at :: self.threads] for at in range(self.threads)]
        self._running = [
            threading.Thread(target=self._work, args=(share, last), daemon=True) for share in shares if share
        ]
        for thread in self._running:
            thread.start()

    def stop(self) -> None:
        """Let all requests that are on their way end."""
        self._end.set()
        self.join()

    def join(self, seconds: float = 60.0) -> None:
        """Wait until all turns are sent."""
        for thread in self._running:
            thread.join(seconds)
            assert not thread.is_alive(), "a request hangs"
        assert not self.problems, self.problems

    def _work(self, share: Sequence[Talk], last: int) -> None:
        try:
            with contextlib.ExitStack() as stack:
                tunnel: Tunnel | None = None
                while left := [talk for talk in share if self.turns[talk.number] <= last]:
                    for talk in left:
                        if self._end.is_set():
                            return
                        try:
                            tunnel = tunnel or self._connected(stack)
                            answer = tunnel.exchange(request(FOUNDRY_HOST, talk.body(self.turns[talk.number])))
                        except (OSError, ssl.SSLError, http.client.HTTPException, ValueError, IndexError):
                            self.failures += 1
                            tunnel = None
                            time.sleep(_PAUSE)
                            continue
                        self.statuses.append(answer.status)
                        if answer.status == http.HTTPStatus.OK:
                            self.turns[talk.number] += 1
                    if not self.keeps_connections:
                        stack.close()
                        tunnel = None
        except BaseException as error:  # noqa: BLE001 - the test tells of it
            self.problems.append(error)

    def _connected(self, stack: contextlib.ExitStack) -> Tunnel:
        tunnel = stack.enter_context(Tunnel(self.port(), FOUNDRY_HOST))
        tunnel.start_tls(FOUNDRY_HOST, self.certificate)
        return tunnel


def arrivals(received: Iterable[Received]) -> dict[int, list[bytes]]:
    """The bodies that arrived of each conversation."""
    found: dict[int, list[bytes]] = defaultdict(list)
    for one in received:
        matter = _MATTER.search(one.body)
        assert matter, one.body[:200]
        found[int(matter[1])].append(one.body)
    return found


def breaks(received: Iterable[Received]) -> list[str]:
    """Where a prompt cache would have broken: what arrived does not begin with what arrived before it."""
    found = []
    for number, bodies in arrivals(received).items():
        longest = b""
        for at, body in enumerate(bodies):
            known = longest.removesuffix(b"]}")
            if not (body.startswith(known) or longest.startswith(body.removesuffix(b"]}"))):
                found.append(f"conversation {number}, request {at}")
            longest = max(longest, body, key=len)
    return found


def has_stubs(received: Iterable[Received]) -> bool:
    """Whether the last that arrived of each conversation has lines that stand for results."""
    return all(STUB.search(bodies[-1].decode()) for bodies in arrivals(received).values())


def recalls(talk: Talk, turns: int, arrived: bytes, send: Callable[[bytes], bytes]) -> int:
    """Read each path in `arrived`, and check that what arrives then is the original; how many there were."""
    before = json.loads(talk.body(turns))
    originals = {
        block["tool_use_id"]: block["content"]
        for message in before["messages"]
        for block in message["content"]
        if isinstance(block, dict) and block["type"] == "tool_result"
    }
    stubs = {
        block["tool_use_id"]: found[2]
        for message in json.loads(arrived)["messages"]
        for block in message["content"]
        if isinstance(block, dict) and block["type"] == "tool_result" and (found := STUB.search(block["content"]))
    }
    for number, (use, path) in enumerate(stubs.items()):
        asks = {"type": "tool_use", "id": f"ask_{number}", "name": "Read", "input": {"file_path": path}}
        says = {"tool_use_id": f"ask_{number}", "type": "tool_result", "content": _NOT_THERE, "is_error": True}
        before["messages"] += [{"role": "assistant", "content": [asks]}, {"role": "user", "content": [says]}]
        last = json.loads(send(json.dumps(before, separators=(",", ":")).encode()))["messages"][-1]["content"][-1]
        assert last["content"] == originals[use]
        assert last["is_error"] is False
    return len(stubs)

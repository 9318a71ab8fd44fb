"""What a request costs a proxy that remembers conversations in Redis, and what a conversation costs Redis.

`.venv/bin/python scripts/benchmarks/gateway.py`, with a redis-server installed. A request's cost is the processor time
that the proxy and its process for much work took, which other work on the machine hardly changes; one core does as many
requests a second as go into a second of it. A minute.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

_PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_PROJECT), str(_PROJECT / "addons"), str(_PROJECT / "scripts")]

import redis  # noqa: E402 - found by the lines above

from compression_engine import Place, Policy  # noqa: E402
from conversations import RedisStore  # noqa: E402
from conversations.branch import Branch, Cache, new_id  # noqa: E402
from tests.conversations.redis_server import RedisServer  # noqa: E402
from tests.e2e.client import Tunnel, request  # noqa: E402
from tests.e2e.conftest import FOUNDRY_HOST, HARNESS  # noqa: E402
from tests.e2e.mitmdump import ADDON, Mitmdump  # noqa: E402
from tests.e2e.recording_origin import Received, RecordingOrigin  # noqa: E402

_SIZES = (100_000, 500_000)
_TALKS, _TURNS = 4, 20
_STREAMS, _EVENTS = 5, 300
_LINES = 40  # of a reading: about 2 kB
_MESSAGES = (30, 300)
_REMEMBERED = 200


def _reading(number: int, turn: int) -> str:
    words = random.Random(f"{number} {turn}")  # noqa: S311 - nothing is to be secret
    return "\n".join(f"{row}\tvalue_{words.randrange(10**6)} = compute({row}, step)" for row in range(1, _LINES))


def bodies(number: int, size: int) -> Iterator[bytes]:
    """A conversation whose first request has about so many bytes, and then some turns of a reading each."""

    def read(turn: int) -> tuple[dict[str, Any], dict[str, Any]]:
        use_id = f"toolu_{number}_{turn}"
        use = {"type": "tool_use", "id": use_id, "name": "Read", "input": {"file_path": f"/x/{turn}.py"}}
        return use, {"type": "tool_result", "tool_use_id": use_id, "content": _reading(number, turn)}

    first = [read(turn) for turn in range(size // len(json.dumps(read(0))))]
    messages: list[dict[str, Any]] = [{"role": "user", "content": f"Look into the matter {number}."}]
    for turn in range(len(first), len(first) + _TURNS + 1):
        some = first if turn == len(first) else [read(turn)]
        messages += [
            {"role": "assistant", "content": [use for use, _ in some]},
            {"role": "user", "content": [result for _, result in some]},
        ]
        yield json.dumps({"model": "made-up", "max_tokens": 9, "messages": messages}, separators=(",", ":")).encode()


def _family(pid: int) -> list[int]:
    """The proxy and the process in which it does much work."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [pid, *(int(child) for task in tasks for child in task.read_text(encoding="utf-8").split())]


def _processor_seconds(pid: int) -> float:
    stats = [Path(f"/proc/{one}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split() for one in _family(pid)]
    return sum(int(fields[11]) + int(fields[12]) for fields in stats) / os.sysconf("SC_CLK_TCK")


def _settled(pid: int) -> float:
    """Its processor seconds, once what is noted after a request is noted."""
    last = -1.0
    while last != (now := _processor_seconds(pid)):
        last = now
        time.sleep(1.5)
    return now


def _resident_mb(pid: int) -> float:
    pages = sum(int(Path(f"/proc/{one}/statm").read_text(encoding="utf-8").split()[1]) for one in _family(pid))
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Cost(NamedTuple):
    """Processor seconds of a request that the proxy sees first, of one that goes on, and of an event of an answer.

    And resident megabytes at the end.
    """

    first: float
    warm: float
    event: float
    megabytes: float


def _stream(_: Received, send: Callable[[bytes], None]) -> None:
    """An answer in events, one after the other."""
    send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "some words "}}
    event = f"event: content_block_delta\ndata: {json.dumps(delta)}\n\n".encode()
    for _event in range(_EVENTS):
        send(b"%x\r\n%s\r\n" % (len(event), event))
        time.sleep(0.002)
    send(b"0\r\n\r\n")


def cost(proxy: Mitmdump, origin: RecordingOrigin, size: int) -> Cost:
    """What requests of about `size` bytes cost a proxy."""
    pid = proxy.pid
    with Tunnel(proxy.port, FOUNDRY_HOST) as tunnel:
        tunnel.start_tls(FOUNDRY_HOST, proxy.certificate)
        talks = [bodies(number, size) for number in range(_TALKS)]
        tunnel.exchange(request(FOUNDRY_HOST, next(bodies(-1, 10_000))))  # what is loaded late is loaded
        start = _settled(pid)
        for talk in talks:
            tunnel.exchange(request(FOUNDRY_HOST, next(talk)))
        before = _settled(pid)
        for _ in range(_TURNS):
            for talk in talks:
                tunnel.exchange(request(FOUNDRY_HOST, next(talk)))
            origin.forget()
        warm = (_settled(pid) - before) / (_TALKS * _TURNS)
        before_streams = _settled(pid)
        origin.answer = _stream
        for _ in range(_STREAMS):
            tunnel.exchange(request(FOUNDRY_HOST, next(bodies(-1, 1000))))
        origin.forget()
        event = (_settled(pid) - before_streams) / (_STREAMS * _EVENTS)
        return Cost((before - start) / _TALKS, warm, event, _resident_mb(pid))


def remembered_bytes(server: RedisServer, messages: int) -> float:
    """What a conversation with so many messages takes in the server."""
    server.tell("FLUSHALL")
    store = RedisStore(server.on_socket)
    words = random.Random(messages)  # noqa: S311
    with redis.Redis.from_url(server.on_port.value) as client:
        before = client.info("memory")["used_memory"]
        for _ in range(_REMEMBERED):
            aside = tuple(Place(2 * at, 0) for at in range(messages // 3))
            cache = Cache(new_id(), asked=(time.time(),))
            branch = Branch(new_id(), words.randbytes(32), messages, cache, Policy(aside=aside))
            store.save(branch, [words.randbytes(32) for _ in range(messages)])
        used = (client.info("memory")["used_memory"] - before) / _REMEMBERED
    store.close()
    return float(used)


def main() -> None:
    """Print all figures."""
    with tempfile.TemporaryDirectory() as folder, RedisServer() as server:
        directory = Path(folder)
        with RecordingOrigin(directory, FOUNDRY_HOST) as origin:
            to_origin = HARNESS / "to_origin.py"
            for size in _SIZES:
                for name, scripts in (("mitmdump alone", [to_origin]), ("with the addon", [ADDON, to_origin])):
                    home = directory / f"{name} {size}"
                    home.mkdir()
                    own = {"foundry_state_url": server.on_port.value, "foundry_state_dir": str(home)}
                    options = origin.options | (own if ADDON in scripts else {"http2": "false"})
                    with Mitmdump(home, *scripts, options=options, environment=origin.environment) as proxy:
                        one = cost(proxy, origin, size)
                    print(
                        f"{size:,} bytes, {name}: {one.warm * 1000:.1f} ms of processor time a warm turn, "
                        f"{1 / one.warm:.0f} a second and core; {one.first * 1000:.0f} ms where the process sees the "
                        f"conversation first; {one.event * 1000:.2f} ms an event of an answer; "
                        f"{one.megabytes:.0f} MB resident",
                        flush=True,
                    )
        for messages in _MESSAGES:
            print(f"a conversation of {messages} messages: {remembered_bytes(server, messages) / 1000:.1f} kB in Redis")


if __name__ == "__main__":
    main()

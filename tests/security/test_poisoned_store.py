"""Somebody else writes to the Redis server in which proxies remember: requests go out, and nothing is lost."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from mitmproxy.test import tutils

from compression_engine import Outcome, Policy, Rewrite, WireFormat
from configuring.foundry_options import Settings
from configuring.possible_values import Mode
from host_rules import Endpoint
from notices import Notices
from outcomes import FAILED
from rewriting.request_rewriter import RequestRewriter
from rewriting.treatment import Treatment
from tests.compression_engine.bodies import BASH, READ, body, call, numbered, result, source_lines, turns
from tests.conversations.branches import Clock
from tests.conversations.redis_server import NEEDS_REDIS, RedisServer
from tests.fuzz.laws import check_rewrite

pytestmark = [NEEDS_REDIS, pytest.mark.slow]

LIFETIME = 600.0
MOST = 2**63 - 1
pack, unpack = msgspec.msgpack.encode, msgspec.msgpack.decode


def session(readings: int) -> bytes:
    """A conversation with so many readings, each of other lines, the same lines again, and one that failed."""
    found = ((READ, {"file_path": f"{n % 3}.py"}, numbered(source_lines(40, f"n{n % 4}"))) for n in range(readings))
    failed = call("toolu_failed", BASH, command="make"), result("toolu_failed", "no rule\n" * 40, is_error=True)
    opening, *rest = turns(*found)
    return body([opening, *failed, *rest], tools=[{"name": READ}, {"name": BASH}])


def field(name: str, value: Any) -> Callable[[Any], Any]:
    """Say something else of a branch or a cache."""
    return lambda said: {**said, name: value}


def policy(raw: Any = (), aside: Any = (), rules: Any = 1, work: Any = 8_000_000) -> Callable[[Any], Any]:
    return field("policy", (raw, aside, rules, work))


def _packed(change: Callable[[Any], Any]) -> Callable[[bytes], bytes]:
    return lambda said: pack(change(unpack(said)))


def _instead(content: bytes, _said: bytes) -> bytes:
    return content


ALL = [(message, 0) for message in range(40)]
BRANCHES: dict[str, Callable[[Any], Any]] = {
    "raw without end": policy([(0, MOST)]),
    "raw before the beginning": policy([(-MOST, 2), (-5, -1)]),
    "raw backwards and again": policy([(5, 1), (2, 9), (2, 9), (MOST, -MOST), (3, 4)]),
    "raw in many pieces": policy([(at, at + 1) for at in range(0, 20_000, 2)]),
    "places that are none": policy((), [(0, 0), (1, 0), (2, 99), (-1, 0), (-1, -1), (4, -1), (MOST, MOST)]),
    "everything set aside": policy((), ALL),
    "everything set aside and raw": policy([(0, 5)], ALL),
    "places twice and in no order": policy((), ALL[::-1] * 3),
    "unknown rules": policy(rules=999),
    "rules before the first": policy(rules=-1),
    "no work": policy(work=0),
    "less than no work": policy(work=-MOST),
    "a policy that is a text": field("policy", "raw"),
    "a policy of nothing": field("policy", None),
    "places that are texts": policy((), [("4", "0")]),
    "places that are fractions": policy((), [(4.5, 0)]),
    "places of three": policy((), [(4, 0, 1)]),
    "raw that is a map": policy({"0": 5}),
    "no messages": field("count", 0),
    "less than none": field("count", -7),
    "more than there are": field("count", MOST),
    "a count that is a text": field("count", "5"),
    "a high version": field("version", 2**53),
    "the highest version": field("version", 2**64 - 1),
    "a version below all": field("version", -(2**63)),
    "another head": field("head", b"other"),
    "no id": field("id", ""),
    "an id of a megabyte": field("id", "x" * (1 << 20)),
    "another id": field("id", "{fc1}"),
    "holdout": field("holdout", value=True),
    "holdout that is a number": field("holdout", 1),
    "more fields": field("more", [{}] * 1000),
    "a list": lambda said: list(said.values()),
    "a cache within": field("cache", {"id": "c", "keeps": -1.0}),
}
TIMES = [math.nan, math.inf, -math.inf, 1e308, -1e308, 0.0, 10**15]
CACHES: dict[str, Callable[[Any], Any]] = {
    **{f"kept for {time}": field("keeps", time) for time in TIMES},
    **{f"asked at {time}": field("asked", [time]) for time in TIMES},
    **{f"answered at {time}": field("answered_at", time) for time in TIMES},
    "asked a million times": field("asked", [float(at) for at in range(1_000_000)]),
    "asked at a text": field("asked", ["now"]),
    "asked by a map": field("asked", {"now": 1}),
    "another id": field("id", "other"),
    "an id of three words": field("id", "a b c"),
    "nothing": lambda _: None,
}
BYTES = [
    b"",
    b"\xc1",
    b"\xdd\xff\xff\xff\xff",
    b"\x91" * 10_000,
    b"\xdf\xff\xff\xff\xff\xa1",
    b"x c \x80",
    b"x" * 2**20,
]


IDS = {f"made-up-{number}": number for number in range(1000)} | {"": 0, "{fc1}": 1}


@dataclass
class Proxies:
    """Proxies that remember in one server, one after the other, and somebody who writes there as well."""

    server: RedisServer
    settings: Settings
    rewriter: RequestRewriter
    clock: Clock

    def next(self) -> None:
        """Another one, which remembers nothing itself."""
        self.rewriter.close()
        self.rewriter = RequestRewriter(self.settings, Notices(), self.clock)

    async def treat(self, raw: bytes) -> Treatment:
        """Look at what is done to a request: it is sent, by all the laws."""
        treatment, sent = await self.rewriter.treat(tutils.treq(content=raw), Endpoint.MESSAGES)
        self.rewriter.settle(sent, answered=False)
        assert treatment.outcome != FAILED
        standing = treatment.standing
        assert standing is not None
        assert math.isfinite(standing.warm_until)
        assert math.isfinite(standing.gap or 0.0)
        arrived = raw if treatment.body is None else treatment.body
        outcome = Outcome.NOTHING_TO_DO if treatment.body is None else Outcome.REWRITTEN
        check_rewrite(raw, Rewrite(arrived, outcome), WireFormat.ANTHROPIC_MESSAGES, Policy())
        return treatment

    async def go_on_after(self, act: Callable[[], None]) -> None:
        """Begin a conversation, let `act` do something to what is remembered of it, and go on with another proxy."""
        for pause in (0.0, 2 * LIFETIME):
            self.server.tell("FLUSHALL")
            self.next()
            for readings in (2, 3):
                assert (await self.treat(session(readings))).body is not None
            act()
            self.next()
            self.clock.now += pause
            for readings in (4, 5, 6, 4):
                await self.treat(session(readings))
        assert b"compute_something" not in self.server.dump()

    def write(self, kind: str, change: Callable[[bytes], bytes]) -> None:
        """Write something else in place of every branch (b) or cache (c)."""
        for client, key in self.keys(kind):
            client.set(key, change(client.get(key) or b""))

    def write_branches(self, change: Callable[[bytes], bytes]) -> None:
        """As `write`, behind what the server itself reads of a branch."""

        def changed(value: bytes) -> bytes:
            version, cache, said = value.split(b" ", 2)
            return b"%b %b %b" % (version, cache, change(said))

        self.write("b", changed)

    def keys(self, kind: str) -> Iterator[tuple[Any, bytes]]:
        import redis  # noqa: PLC0415 - not all who run the tests have it

        with redis.Redis.from_url(self.server.on_port.value) as client:
            found = list(client.scan_iter(f"{{fc1}}{kind}*"))
            assert found
            yield from ((client, key) for key in found)


@pytest.fixture
async def proxies(tmp_path: Path) -> AsyncIterator[Proxies]:
    clock = Clock()
    with RedisServer() as server:
        settings = Settings(Mode.BALANCED, (), 2**26, LIFETIME, tmp_path, 0, 60, state_url=server.on_port, budget=60.0)
        rewriter = RequestRewriter(settings, Notices(), clock)
        made = Proxies(server, settings, rewriter, clock)
        yield made
        made.rewriter.close()


async def test_who_can_write_there_can_have_results_set_aside(proxies: Proxies) -> None:
    """They are believed. Whatever is set aside can be read again: that is one of the laws that are looked at."""
    await proxies.treat(session(3))
    proxies.write_branches(_packed(BRANCHES["everything set aside"]))
    proxies.next()
    assert (await proxies.treat(session(4))).set_aside == 4


async def test_whatever_is_said_of_a_conversation_its_requests_go_out(
    proxies: Proxies, subtests: pytest.Subtests
) -> None:
    for lie, change in BRANCHES.items():
        with subtests.test(lie):
            await proxies.go_on_after(partial(proxies.write_branches, _packed(change)))


async def test_whatever_is_said_of_times_its_requests_go_out(proxies: Proxies, subtests: pytest.Subtests) -> None:
    for lie, change in CACHES.items():
        with subtests.test(lie):
            await proxies.go_on_after(partial(proxies.write, "c", _packed(change)))


async def test_what_cannot_be_read_is_as_good_as_nothing(proxies: Proxies, subtests: pytest.Subtests) -> None:
    for content in BYTES:
        for write in (proxies.write_branches, partial(proxies.write, "b"), partial(proxies.write, "c")):
            with subtests.test(content=content[:9]):
                await proxies.go_on_after(partial(write, partial(_instead, content)))


async def test_nor_does_it_matter_where_it_is_kept(proxies: Proxies, subtests: pytest.Subtests) -> None:
    def other_type() -> None:
        for kind in "bcd":
            for client, key in proxies.keys(kind):
                client.delete(key)
                client.hset(key, "of", "another type")

    def many_ids() -> None:
        for client, key in proxies.keys("d"):
            client.zadd(key, IDS)

    def newer_than_all() -> None:
        proxies.write("b", lambda value: b"9" * 400 + value[value.index(b" ") :])

    for act in (other_type, many_ids, newer_than_all):
        with subtests.test(act.__name__):
            await proxies.go_on_after(act)

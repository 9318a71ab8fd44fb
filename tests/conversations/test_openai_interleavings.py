"""In the formats of OpenAI, too: whatever happens, what is cached stays as it went out, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compression_engine import Engine, Outcome, Policy, Prompt, Rewrite, Setting, WireFormat, restore, statements
from compression_engine.body import elements, members
from compression_engine.set_aside import key_of
from conversations import Conversations, Decision, MemoryStore, Rewriting, Terms
from conversations.branch import Store
from tests.compression_engine.bodies import BASH, READ, call, dump, numbered, result
from tests.compression_engine.openai_bodies import CHAT, RESPONSES, body_in, texts_in
from tests.conversations.branches import Clock

type Json = Any

HOUR, DAY = 3_600.0, 86_400.0
SETTING = Setting(window=300, least=40)
NOT_THERE = "Error: no such file or directory: '{}'"
ASIDE = b"[set aside "
PATH = "Full output saved to: "
NUMBERS = st.integers(0, 11)


@dataclass(eq=False)
class Client:
    """A conversation as its client keeps it."""

    messages: list[Json]
    in_memory: bool  # asks that its prompts are kept for an hour only
    stubs: list[str] = field(default_factory=list)
    is_kept: bool = False  # may go on from what the service keeps, in Responses


class Record(NamedTuple):
    """What the service may have in its cache since `at`."""

    at: float
    lifetime: float
    sent: list[bytes]
    arrived: list[bytes]


class World:
    """Clients of one wire format, a proxy and the service's cache; every request is checked as it goes out."""

    def __init__(self, wire_format: WireFormat) -> None:
        self.format = wire_format
        self.clock = Clock()
        self.store: Store = MemoryStore()
        self.rewriting = Rewriting.SET_ASIDE
        self.clients: list[Client] = []
        self.records: list[Record] = []
        self.calls = 0
        self.restart()

    def restart(self) -> None:
        """A proxy that has to work everything out anew, and knows what went out."""
        self.engine = Engine()
        self.conversations = Conversations(self.store, self.clock)
        self.observed = Conversations(MemoryStore(), self.clock)

    def client(self, number: int) -> Client:
        return self.clients[number % len(self.clients)]

    def start(self, turns: int, *, in_memory: bool) -> None:
        """A new conversation, which may have had some turns without a proxy."""
        client = Client([{"role": "user", "content": f"Look into case {len(self.clients)}."}], in_memory)
        self.clients.append(client)
        for turn in range(turns):
            self.go_on(client, turn)

    def go_on(self, client: Client, kind: int) -> None:
        """The assistant calls tools, and the client carries that out."""
        self.calls += 1
        name = f"call_{self.calls}"
        lines = [f"    value_{self.calls}_{at} = compute({at * 7 % 13})" for at in range(20 + kind)]
        same = [f"    line_{kind % 3}_{at} = look_up({at * 5 % 11})" for at in range(40)]
        match kind % 6:
            case 0 | 1:
                path = f"src/{kind % 3}.py"
                client.messages += [call(name, READ, file_path=path), result(name, numbered(same))]
            case 2:
                client.messages += [call(name, BASH, command=f"run {kind}"), result(name, "\n".join(lines))]
            case 3:
                failed = result(name, "Exit code 1\n" + "\n".join(lines))
                client.messages += [call(name, BASH, command="make"), failed]
            case 4 if client.stubs:
                path = client.stubs[kind % len(client.stubs)]
                client.messages += [call(name, READ, file_path=path), result(name, NOT_THERE.format(path))]
            case _:
                client.messages += [{"role": "assistant", "content": "Done."}, {"role": "user", "content": "And now?"}]

    def body(self, client: Client, *more: Json) -> bytes:
        asks: dict[str, Json] = {"prompt_cache_retention": "in_memory"} if client.in_memory else {}
        if self.format is RESPONSES:
            asks["store"] = client.is_kept
        return body_in(self.format, [*client.messages, *more], tools=(READ, BASH), **asks)

    def send(self, client: Client, *, refused: bool | None = False, stops: bool = False, fails: bool = False) -> None:
        """Send the request as it is; `refused` None: nobody tells how it ended.

        `stops`: the engine's time is up at once, `fails`: it makes a mistake, as `EngineWorker` would see it.
        """
        self.clock.now += 0.01
        raw = self.body(client)
        decision = Decision(self.conversations, self.observed, Terms(self.rewriting, SETTING))
        policies: list[Policy] = []

        def decide(prompt: Prompt) -> Policy:
            policies.append(decision(prompt))
            return policies[0]

        def goes_on() -> bool:
            if fails:
                raise RuntimeError
            return not (stops and decision.may_go_raw())

        try:
            rewrite = self.engine.rewrite(raw, self.format, decide, goes_on)
        except RuntimeError:
            rewrite = Rewrite(raw, Outcome.STOPPED)
        arrived = raw if decision.is_measured else rewrite.body
        if rewrite.outcome is Outcome.STOPPED:
            assert arrived == raw
            assert decision.went_raw()
        elif not decision.is_measured:
            fresh = Engine().rewrite(raw, self.format, lambda _: policies[0])
            assert fresh.body == arrived, "what is remembered decides nothing"
            assert not fresh.problems
            self._check_laws(client, raw, arrived, policies[0])
            assert not (client.is_kept and policies[0].aside), "nobody could read it again"
        sent, forms = self._listed(raw), self._listed(arrived)
        if not fails:  # a mistake of ours may cost a cache, once
            self._check_cache(sent, forms, is_kept=client.is_kept)
        client.stubs += [path for path in _paths(texts_in(self.format, arrived)) if path not in client.stubs]
        if not refused:
            self.records.append(Record(self.clock.now, HOUR if client.in_memory else DAY, sent, forms))
        if refused is not None and decision.sent is not None:
            self.conversations.settle(decision.sent, answered=not refused)

    def _listed(self, raw: bytes) -> list[bytes]:
        """The messages or items as they stand in a body."""
        span = members(raw)["messages" if self.format is CHAT else "input"]
        return [raw[start:end] for start, end in elements(raw[span.start : span.end], span.start)]

    def _check_cache(self, sent: list[bytes], arrived: list[bytes], *, is_kept: bool) -> None:
        """The longest beginning that is warm arrives as it did, unless nobody could read again what was set aside."""
        warm = [(_common(one.sent, sent), one) for one in self.records if self.clock.now - one.at <= one.lifetime]
        longest = max((count for count, _ in warm), default=0)
        if is_kept and any(ASIDE in b"".join(one.arrived[:longest]) for count, one in warm if count == longest):
            return
        assert not longest or any(
            one.arrived[:longest] == arrived[:longest] for count, one in warm if count == longest
        ), "a warm prompt cache was broken"

    def _check_laws(self, client: Client, raw: bytes, arrived: bytes, policy: Policy) -> None:
        before, after = texts_in(self.format, raw), texts_in(self.format, restore(arrived, self.format))
        originals = {
            key_of(block["tool_use_id"], block["content"]): block["content"] for block in _results(client.messages)
        }
        for text, restored in zip(before, after, strict=True):
            if restored == text:
                continue
            if restored.startswith("[set aside "):
                (path,) = _paths([restored])
                self._check_recall(client, path, policy, originals)
            else:
                assert text.startswith("Error: no such file"), "only what was asked back becomes something else"
                assert restored in originals.values()
        for was, now in zip(self._listed(raw), self._listed(arrived), strict=True):
            if was != now:
                name = "content" if self.format is CHAT else "output"
                assert {**json.loads(was), name: ""} == {**json.loads(now), name: ""}

    def _check_recall(self, client: Client, path: str, policy: Policy, originals: dict[str, str]) -> None:
        """A Read of the path in a stub brings back what it stands for."""
        asks = call("probe", READ, file_path=path), result("probe", NOT_THERE.format(path))
        out = Engine().rewrite(self.body(client, *asks), self.format, lambda _: policy).body
        key = statements.read_aside_path(path)
        assert key is not None
        assert texts_in(self.format, out)[-1] == originals[key]


def _common(one: list[bytes], other: list[bytes]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (here, there) in pairs if here != there), min(len(one), len(other)))


def _results(messages: list[Json]) -> Iterator[Json]:
    for message in messages:
        for block in message["content"] if isinstance(message["content"], list) else []:
            if block["type"] == "tool_result":
                yield block


def _paths(texts: list[str]) -> list[str]:
    lines = [line for text in texts for line in text.split("\n") if line.startswith("[set aside ")]
    return [line.split(PATH)[1].split("]")[0] for line in lines]


# What may happen


def works(world: World, number: int, kind: int) -> None:
    client = world.client(number)
    for turn in range(2 + kind % 4):
        world.send(client)
        world.go_on(client, kind + turn)


def is_refused(world: World, number: int, _kind: int) -> None:
    world.send(world.client(number), refused=True)


def ends_unseen(world: World, number: int, kind: int) -> None:
    world.send(world.client(number), refused=None)
    world.go_on(world.client(number), kind)


def is_stopped(world: World, number: int, kind: int) -> None:
    world.send(world.client(number), stops=True)
    world.go_on(world.client(number), kind)


def fails(world: World, number: int, kind: int) -> None:
    world.send(world.client(number), fails=True)
    world.go_on(world.client(number), kind)


def waits_little(world: World, _number: int, kind: int) -> None:
    world.clock.now += (60.0, 3_500.0, 30_000.0)[kind % 3]


def waits_long(world: World, _number: int, kind: int) -> None:
    world.clock.now += (1.2 * HOUR, 1.2 * DAY)[kind % 2]


def forks(world: World, number: int, kind: int) -> None:
    client = world.client(number)
    end = 1 + 2 * (kind % ((len(client.messages) + 1) // 2))
    other = Client(client.messages[:end], client.in_memory, [*client.stubs], client.is_kept)
    world.clients.append(other)
    other.messages += [{"role": "assistant", "content": "So?"}, {"role": "user", "content": f"Or {world.calls}?"}]


def has_it_kept(world: World, number: int, _kind: int) -> None:
    world.client(number).is_kept = world.format is RESPONSES


def begins(world: World, _number: int, kind: int) -> None:
    world.start(kind % 6, in_memory=kind % 2 == 0)


def restarts(world: World, _number: int, _kind: int) -> None:
    world.restart()


def switches(world: World, _number: int, kind: int) -> None:
    world.rewriting = list(Rewriting)[kind % 3]


USUAL = [works, works, works, waits_little, waits_long, forks]
UNUSUAL = [is_refused, ends_unseen, is_stopped, fails, has_it_kept, begins, restarts, switches]
type Act = Callable[[World, int, int], None]
STEPS: st.SearchStrategy[list[tuple[Act, int, int]]] = st.lists(
    st.tuples(st.sampled_from([*USUAL * 3, *UNUSUAL]), NUMBERS, NUMBERS), min_size=16, max_size=30
)


def play(wire_format: WireFormat, turns: int, steps: list[tuple[Act, int, int]]) -> World:
    world = World(wire_format)
    world.start(turns, in_memory=turns % 2 == 0)
    for act, *numbers in steps:
        act(world, *numbers)
    return world


@pytest.mark.slow
@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([CHAT, RESPONSES]), st.integers(0, 5), STEPS)
def test_what_is_cached_stays_and_nothing_is_lost(
    wire_format: WireFormat, turns: int, steps: list[tuple[Act, int, int]]
) -> None:
    play(wire_format, turns, steps)


DAY_OF_WORK: list[tuple[Act, int, int]] = [
    *((works, 0, 3), (waits_little, 0, 2), (works, 0, 1), (waits_long, 0, 1)),
    *((works, 0, 3), (restarts, 0, 0), (is_stopped, 0, 2), (forks, 0, 5), (works, 1, 3), (works, 0, 3)),
]


@pytest.mark.parametrize("wire_format", [CHAT, RESPONSES])
def test_a_day_in_the_life(wire_format: WireFormat) -> None:
    """Everything that the law is about does come about."""
    world = play(wire_format, 3, DAY_OF_WORK)
    assert world.client(0).stubs, "old results were set aside when the cache was cold"
    arrived = b"".join(world.records[-1].arrived)
    assert len(arrived) < 0.9 * len(b"".join(world.records[-1].sent))
    asked_back = [text for text in texts_in(wire_format, world.body(world.client(0))) if text.startswith("Error: no")]
    assert asked_back
    assert not any(dump(text) in arrived for text in asked_back), "they were answered"


def test_what_was_set_aside_comes_back_into_view_once_a_client_may_go_on_without_it() -> None:
    world = play(RESPONSES, 3, DAY_OF_WORK)
    assert ASIDE in b"".join(world.records[-1].arrived)
    has_it_kept(world, 0, 0)
    works(world, 0, 2)
    assert ASIDE not in b"".join(world.records[-1].arrived)


@pytest.mark.parametrize("pause", [0.0, 1.2 * DAY])
def test_even_where_it_leaves_no_room_in_the_window(pause: float) -> None:
    clock = Clock()
    conversations = Conversations(MemoryStore(), clock)
    messages: list[Json] = [{"role": "user", "content": "Look."}]
    for n in range(6):
        text = numbered([f"    value_{n}_{at} = compute({at * 7 % 13})" for at in range(40)])
        messages += [call(f"c{n}", READ, file_path=f"{n}.py"), result(f"c{n}", text)]

    def send(store: bool, window: int = 200_000) -> Policy:
        policies: list[Policy] = []
        decision = Decision(conversations, None, Terms(Rewriting.SET_ASIDE, Setting(0, 0), window=window))

        def decide(prompt: Prompt) -> Policy:
            policies.append(decision(prompt))
            return policies[0]

        Engine().rewrite(body_in(RESPONSES, messages, (READ,), store=store), RESPONSES, decide)
        return policies[0]

    send(store=False)
    clock.now += 1.2 * DAY
    assert send(store=False).aside
    clock.now += pause
    assert not send(store=True, window=100).aside

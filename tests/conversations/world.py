"""A small world: clients, proxies that share a file, and a service that remembers every prompt for a while.

The service is simulated as far as its prompt cache goes: it knows what it answered, and when.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any

from compression_engine import SET_ASIDE, Engine, Policy, Prompt, Rewrite, Setting, WireFormat, restore, statements
from compression_engine.set_aside import key_of
from conversations import Conversations, Decision, FailsafeStore, Rewriting, Sent, SQLiteStore, Terms
from tests.compression_engine.bodies import BASH, READ, body, call, dump, numbered, result, texts, without_marks

type Json = Any

FORMAT = WireFormat.ANTHROPIC_MESSAGES
TOOLS = [{"name": READ}, {"name": BASH}]
SETTING = Setting(window=300, least=40)
LIFETIME = 300.0
HOUR = 3600.0
NOT_THERE = "File does not exist. Note: your current working directory is /home/dev."


class End(Enum):
    """How a request ends."""

    ANSWERED = "answered"
    REFUSED = "refused"  # 429, 529, a reset
    OPEN = "open"  # answered, but the proxy was not told: it was killed, or the client hung up
    LATE = "late"  # answered, which the proxy is told later
    REFUSED_LATE = "refused late"


@dataclass(eq=False)
class Client:
    """A conversation as its client keeps it; the last message is the client's."""

    messages: list[Json]
    model: str = "m"
    asks_hour: bool = False
    calls: int = 0
    stubs: list[str] = field(default_factory=list)  # paths that the assistant has seen

    def body(self) -> bytes:
        mark = {"type": "ephemeral"} | ({"ttl": "1h"} if self.asks_hour else {})
        raw = body(self.messages, model=self.model, tools=TOOLS)
        return raw.replace(dump({"type": "ephemeral"}), dump(mark))


class Incarnation:
    """A proxy between two restarts."""

    def __init__(self, world: World) -> None:
        self.engine = Engine()
        self.store = world.new_store()
        self.conversations = Conversations(self.store, world.now)
        self.observed = Conversations(FailsafeStore(None, world.reports.append), world.now)


@dataclass(eq=False)
class Record:
    """What the service may have in its cache since `at`."""

    at: float
    lifetime: float
    head: str
    sent: tuple[bytes, ...]  # messages as the client wrote them
    arrived: tuple[bytes, ...]  # and as they came
    proxy: Incarnation
    generation: int | None  # of the file that it is known in
    is_refused: bool = False

    def common(self, head: str, sent: tuple[bytes, ...]) -> int:
        """How many messages of another request it has."""
        if head != self.head:
            return 0
        pairs = zip(self.sent, sent, strict=False)
        return next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(self.sent), len(sent)))


class World:
    """Everything that happens in it is checked at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = 1_000_000.0
        self.behind = 0.0  # how much the clock of the proxies is
        self.reports: list[str] = []
        self.proxies = [Incarnation(self), Incarnation(self)]
        self.rewriting = Rewriting.SET_ASIDE
        self.generation = 0
        self.is_broken = False
        self.locker: sqlite3.Connection | None = None
        self.clients: list[Client] = []
        self.records: list[Record] = []
        self.late: list[tuple[Incarnation, Sent | None, Record, bool]] = []
        self.recalled: set[tuple[object, ...]] = set()
        self.set_aside = 0
        self.calls = 0

    def now(self) -> float:
        return self.clock - self.behind

    def new_store(self) -> FailsafeStore:
        """What a proxy remembers in, shared with the others."""
        return FailsafeStore(SQLiteStore(self.path, self.now), self.reports.append, lambda: self.clock)

    def client(self, number: int) -> Client:
        return self.clients[number % len(self.clients)]

    def close(self) -> None:
        self.free()
        for proxy in self.proxies:
            proxy.conversations.close()

    # What clients do

    def start(self, turns: int = 0) -> Client:
        """A new conversation, which may have had some turns without a proxy."""
        client = Client([{"role": "user", "content": f"Please look into case {len(self.clients)}."}])
        self.clients.append(client)
        for turn in range(turns):
            self.go_on(client, turn, reads_back=False)
        return client

    def fork(self, client: Client, at: int) -> Client:
        """Go back to the client's message `at`, and go on from there otherwise."""
        keep = [number for number, message in enumerate(client.messages) if message["role"] == "user"]
        end = keep[at % len(keep)] + 1
        other = replace(client, messages=client.messages[:end], stubs=[*client.stubs])
        if end > 1:
            last = {**other.messages[-1], "content": _with_text(other.messages[-1]["content"], f"Or so: {self.calls}")}
            other.messages = [*other.messages[:-1], last]
        self.clients.append(other)
        return other

    def go_on(self, client: Client, kind: int, *, reads_back: bool) -> None:
        """The assistant answers with tool calls, and the client carries them out."""
        self.calls += 1
        name = f"toolu_{self.calls}"
        if reads_back and client.stubs:
            path = client.stubs[kind % len(client.stubs)]
            client.messages += [call(name, READ, file_path=path), result(name, NOT_THERE, is_error=True)]
            return
        lines = [
            f"    value_{self.calls}_{at} = compute({at * 7 % 13}, '{self.calls}')" for at in range(20 + kind % 30)
        ]
        match kind % 6:
            case 0 | 1:
                text = numbered(lines)
                client.messages += [call(name, READ, file_path=f"src/{kind % 4}.py"), result(name, text)]
            case 2:
                client.messages += [call(name, BASH, command=f"run {kind}"), result(name, "\n".join(lines))]
            case 3:
                failed = result(name, "Exit code 1\n" + "\n".join(lines), is_error=True)
                client.messages += [call(name, BASH, command="make"), failed]
            case 4:
                change = {"file_path": f"src/{kind % 4}.py", "old_string": "a", "new_string": "b"}
                client.messages += [call(name, "Edit", **change), result(name, "Done.")]
            case _:
                client.messages += [{"role": "assistant", "content": "Done."}, {"role": "user", "content": "And now?"}]

    # What is sent

    def send(self, client: Client, proxy_number: int, end: End) -> Rewrite:
        """Send the request, check what comes out, and let it end so."""
        proxy = self.proxies[proxy_number % len(self.proxies)]
        self.clock += 0.01
        raw = client.body()
        decision = Decision(proxy.conversations, proxy.observed, Terms(self.rewriting, SETTING))
        asked: list[tuple[Prompt, Policy]] = []

        def decide(prompt: Prompt) -> Policy:
            if len(self.records) % 2:
                decision.is_routine(prompt)
            policy = decision(prompt)
            asked.append((prompt, policy))
            return policy

        rewrite = proxy.engine.rewrite(raw, FORMAT, decide)
        assert not rewrite.problems
        arrived = raw if decision.is_measured else rewrite.body
        policy = Policy(((0, len(client.messages)),)) if decision.is_measured else asked[0][1]
        if len(self.records) % 4 == 0:
            fresh = Engine().rewrite(raw, FORMAT, lambda _: policy).body
            assert fresh == arrived, "what is remembered decides nothing"
        self._check_cache(client, proxy, arrived)
        self._check_laws(raw, arrived, policy)
        client.stubs += [path for path in _paths(arrived) if path not in client.stubs]
        if not decision.is_measured:
            self.set_aside += sum(change.kind == SET_ASIDE for change in rewrite.changes)
        lifetime = HOUR if client.asks_hour else LIFETIME
        generation = None if self.is_broken or self.locker else self.generation
        record = Record(
            self.clock,
            lifetime,
            client.model,
            _forms(raw),
            _forms(arrived),
            proxy,
            generation,
        )
        self.records.append(record)
        match end:
            case End.ANSWERED | End.REFUSED:
                self._settle(proxy, decision.sent, record, answered=end is End.ANSWERED)
            case End.LATE | End.REFUSED_LATE:
                self.late.append((proxy, decision.sent, record, end is End.LATE))
            case End.OPEN:
                pass
        return rewrite

    def end_late(self, number: int) -> None:
        """A request that was on its way ends."""
        if self.late:
            self._settle_one(*self.late.pop(number % len(self.late)))

    def _settle_one(self, proxy: Incarnation, sent: Sent | None, record: Record, answered: bool) -> None:
        if proxy in self.proxies:
            self._settle(proxy, sent, record, answered=answered)
        elif not answered:
            record.is_refused = True

    def _settle(self, proxy: Incarnation, sent: Sent | None, record: Record, *, answered: bool) -> None:
        record.is_refused = not answered
        if sent is not None:
            proxy.conversations.settle(sent, answered=answered)

    # What happens to proxies

    def restart(self, number: int) -> None:
        number %= len(self.proxies)
        self.proxies[number].conversations.close()
        self.proxies[number] = Incarnation(self)

    def lose_file(self) -> None:
        """Somebody deletes the file, while it is open, or not."""
        self.free()
        self.path.parent.mkdir(exist_ok=True)
        for file in self.path.parent.iterdir():
            file.unlink()
        self.generation += 1
        self.is_broken = False

    def break_file(self) -> None:
        """Nobody can read the file any more."""
        self.lose_file()
        self.path.write_bytes(b"garbage " * 1000)
        self.is_broken = True

    def lock(self) -> None:
        """Another process writes, and does not end."""
        if self.locker is None and not self.is_broken and self.path.exists():
            self.locker = sqlite3.connect(self.path, autocommit=True)
            self.locker.execute("BEGIN IMMEDIATE")

    def free(self) -> None:
        """It ends, and what could not be written for it is tried again from a while later on."""
        if self.locker is not None:
            self.locker.close()
            self.locker = None
        self.clock += 6.0

    # Laws

    def _check_cache(self, client: Client, proxy: Incarnation, arrived: bytes) -> None:
        """The longest beginning that the proxy knows to be warm arrives as it did."""
        sent, forms = _forms(client.body()), _forms(arrived)
        warm = [
            (record.common(client.model, sent), record)
            for record in self.records
            if not record.is_refused and self.clock - record.at <= record.lifetime and self._knows(proxy, record)
        ]
        longest = max((count for count, _ in warm), default=0)
        if longest:
            assert any(record.arrived[:longest] == forms[:longest] for count, record in warm if count == longest)

    def _knows(self, proxy: Incarnation, record: Record) -> bool:
        return record.proxy is proxy or (record.generation == self.generation and not self.is_broken)

    def _check_laws(self, raw: bytes, arrived: bytes, policy: Policy) -> None:
        before, after = json.loads(raw), json.loads(arrived)
        originals = _originals(before["messages"])
        back = [text for _, text in _results(json.loads(restore(arrived))["messages"])]
        calls = {
            block["id"]: block["input"]
            for message in before["messages"]
            for block in message["content"]
            if isinstance(block, dict) and block["type"] == "tool_use"
        }
        last = max(at for at, message in enumerate(before["messages"]) if message["role"] == "user")
        where = [at for at, message in enumerate(before["messages"]) for _ in _results([message])]
        for place, (block, text), restored in zip(where, _results(before["messages"]), back, strict=True):
            path = calls[block["tool_use_id"]].get("file_path", "")
            key = statements.read_aside_path(path)
            original = originals.get(key, text) if key else text
            stub = _paths(dump(restored))
            if statements.is_aside(restored, statements.code_for(block["tool_use_id"])):
                assert place != last, "the last results stay"
                assert not block.get("is_error") or key, "errors stay"
                assert len(stub) == 1
                self._check_recall(before, stub[0], original, policy)
            else:
                assert restored in (original, text)
        # Nothing else is touched.
        for one, other in zip(_results(before["messages"]), _results(after["messages"]), strict=True):
            other[0]["content"] = one[0]["content"]
            if one[0].get("is_error") and not other[0].get("is_error"):
                other[0]["is_error"] = True
        assert dump(after) == raw

    def _check_recall(self, before: Json, path: str, original: str, policy: Policy) -> None:
        """A Read of the stub brings back what it stands for."""
        key = (path, policy, len(before["messages"]), hash(original))
        if key in self.recalled:
            return
        self.recalled.add(key)
        probe = [*before["messages"], call("probe", READ, file_path=path), result("probe", NOT_THERE, is_error=True)]
        out = Engine().rewrite(dump({**before, "messages": probe}), FORMAT, lambda _: policy)
        block, text = list(_results(json.loads(out.body)["messages"]))[-1]
        assert text == original
        assert block["is_error"] is False


def _with_text(content: Json, text: str) -> Json:
    return text if isinstance(content, str) else [*content, {"type": "text", "text": text}]


def _forms(raw: bytes) -> tuple[bytes, ...]:
    return tuple(dump(without_marks(message)) for message in json.loads(raw)["messages"])


def _results(messages: list[Json]) -> Iterator[tuple[Json, str]]:
    for message in messages:
        for block in message["content"] if isinstance(message["content"], list) else []:
            if block["type"] == "tool_result":
                yield block, block["content"]


def _originals(messages: list[Json]) -> dict[str | None, str]:
    return {key_of(block["tool_use_id"], text): text for block, text in _results(messages)}


def _paths(raw: bytes) -> list[str]:
    return [
        part.split("Full output saved to: ")[1].split("]")[0]
        for text in (texts(raw) if raw.startswith(b"{") else [json.loads(raw)])
        for part in text.split("\n")
        if part.startswith("[set aside ")
    ]

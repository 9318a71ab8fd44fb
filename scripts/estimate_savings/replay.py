"""The addon's decisions and the engine on one context of a transcript: what became of each tool result, and when.

Every request is decided about as the addon does, at the time at which it was sent. From one moment at which something
is set aside to the next, what becomes of a message depends on it and on those before it alone. So of all requests in
between only the last is looked into: the messages of the others came out of the engine the same.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from compression_engine import SET_ASIDE, Engine, Outcome, Policy, Prompt, ResultChange, Rewrite, WireFormat, statements
from conversations import Conversations, Decision, MemoryStore, Terms
from estimate_savings.contexts import Step

__all__ = ["NO_MODEL", "RECALLED", "Replay", "Result", "View"]

NO_MODEL = "<synthetic>"
"""The client's name for answers that it made itself, without a request."""

RECALLED = "recalled"
"""The kind of a result in whose place something stands that was set aside."""

# The context windows of Claude models, and what the client sends besides messages (system prompt, tools; the median of
# real first requests), all in tokens. No transcript shows the latter.
_WINDOW, _LONG_WINDOW = 200_000, 1_000_000
_BESIDES_MESSAGES = 35_000


@dataclass(frozen=True, slots=True)
class Result:
    """A text of a tool result; tokens are o200k_base. `kind` is the engine's word, empty where the text was left."""

    id: str
    tool: str
    kind: str
    sent: str
    arrived: str
    tokens_before: int
    tokens_after: int

    @property
    def removed(self) -> int:
        """The tokens that would not have been sent; of what was recalled, fewer than none."""
        return self.tokens_before - self.tokens_after


@dataclass(frozen=True)
class View:
    """The tool results in the requests of a context from step `first` on: for each step those that it sent first.

    `changed` is the first step of which something stood differently in the request before; None: of none.
    """

    first: int
    results: list[list[Result]]
    changed: int | None = None

    @cached_property
    def removed(self) -> list[Counter[tuple[str, str]]]:
        """For each step the o200k_base tokens that are not sent of what it sent first, by tool and kind."""
        removed = []
        for results in self.results:
            counts = Counter[tuple[str, str]]()
            for result in results:
                if result.removed:
                    counts[result.tool, result.kind] += result.removed
            removed.append(counts)
        return removed


class _Text(NamedTuple):
    id: str
    text: str


class Replay:
    """The addon under `terms`, on the contexts of many transcripts.

    `problems` are exceptions that kept the engine from rewriting a result, by name.
    """

    def __init__(self, engine: Engine, terms: Terms) -> None:
        self.problems: set[str] = set()
        self._engine = engine
        self._terms = terms
        self._now = 0.0
        self._conversations = Conversations(MemoryStore(), lambda: self._now)

    def views(self, steps: Sequence[Step], sent_before: Container[str], count: Callable[[str], int]) -> list[View]:
        """Send the requests of a context, in order, but for those with ids in `sent_before`.

        `count` counts tokens. A view holds up to the next one; there is none before the first request that is sent.
        """
        views: list[View] = []
        body = _Body()
        terms = replace(self._terms, window=_window(steps))
        sent: _Sent | None = None
        first = 0
        for at, step in enumerate(steps):
            body.add(step)
            made_up = step.request.model == NO_MODEL and step.request.usage is None
            if made_up or step.request.id in sent_before:
                continue
            last, sent = sent, self._send(body, step, terms)
            if last is None:
                first = at
            elif last.policy != sent.policy:
                views.append(_view(first, last, steps, views, count))
                first = at
        if sent is not None:
            views.append(_view(first, sent, steps, views, count))
        return views

    def _send(self, body: _Body, step: Step, terms: Terms) -> _Sent:
        self._now = self._now if step.at is None else step.at
        decision = Decision(self._conversations, self._conversations, terms)
        policies = []

        def decide(prompt: Prompt) -> Policy:
            policies.append(decision(prompt))
            return policies[-1]

        rewrite = self._engine.rewrite(body.text(step.request.model), WireFormat.ANTHROPIC_MESSAGES, decide)
        if decision.sent is not None:
            self._conversations.settle(decision.sent, answered=True)
        self.problems |= rewrite.problems
        return _Sent(policies[-1] if policies else Policy(), rewrite, list(body.messages))


class _Sent(NamedTuple):
    policy: Policy
    rewrite: Rewrite
    messages: list[dict[str, Any]]


class _Body:
    """The body of a request as far as the transcript shows it, and what the addon looks at besides."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self._written: list[bytes] = []
        self._asks_hour = False

    def add(self, step: Step) -> None:
        """Add what is new in a step, as the client sends it: neighbours of one role are one message."""
        self._asks_hour = self._asks_hour or (step.request.usage is not None and step.request.usage.write_1h > 0)
        for part in step.parts:
            if not part.content:
                continue
            content = part.content
            if self.messages and self.messages[-1]["role"] == part.role:
                content = [*self.messages.pop()["content"], *content]
                self._written.pop()
            self.messages.append({"role": part.role, "content": content})
            self._written.append(_json(self.messages[-1]))

    def text(self, model: str) -> bytes:
        """All of it."""
        around = b'{"model":%b,"tools":[{"name":"Read"}],"messages":[%b]%b}'
        lifetime = b',"cache_control":{"type":"ephemeral","ttl":"1h"}' if self._asks_hour else b""
        return around % (_json(model), b",".join(self._written), lifetime)


def _window(steps: Sequence[Step]) -> int:
    """Tokens that messages may take."""
    longest = max((step.request.usage.total for step in steps if step.request.usage), default=0)
    return (_LONG_WINDOW if longest > _WINDOW else _WINDOW) - _BESIDES_MESSAGES


def _view(first: int, sent: _Sent, steps: Sequence[Step], views: Sequence[View], count: Callable[[str], int]) -> View:
    """What `sent`, the last request of a view, holds; `views` are those before."""
    found = _results(sent, count)
    results = [
        [result for part in step.parts for _ in _result_texts(part.content) if (result := next(found, None))]
        for step in steps
    ]
    before = views[-1].results if views else []
    changed = (
        at
        for at, (old, new) in enumerate(zip(before, results, strict=False))
        if [result.arrived for result in old] != [result.arrived for result in new[: len(old)]]
    )
    return View(first, results, next(changed, None))


def _results(sent: _Sent, count: Callable[[str], int]) -> Iterator[Result]:
    """The results in a request, in order."""
    before, rewrite = sent.messages, sent.rewrite
    after = json.loads(rewrite.body)["messages"] if rewrite.outcome is Outcome.REWRITTEN else before
    names = {block.get("id"): block.get("name") for message in before for block in message["content"]}
    changes = list(rewrite.changes)[::-1]
    for old, new in zip(_all_texts(before), _all_texts(after), strict=True):
        tool_use_id = old.id.rpartition(" ")[0]
        kind = _kind(tool_use_id, old.text, new.text, changes, count) if old.text != new.text else ""
        tool = str(names.get(tool_use_id) or "unknown tool")
        yield Result(old.id, tool, kind, old.text, new.text, count(old.text), count(new.text))


def _kind(tool_use_id: str, old: str, new: str, changes: list[ResultChange], count: Callable[[str], int]) -> str:
    """How a text was changed. `changes` is what the engine says of that, the next one last; it is silent on recalls."""
    is_aside = statements.is_aside(new, statements.code_for(tool_use_id))
    if (
        changes
        and (changes[-1].kind == SET_ASIDE) is is_aside
        and (is_aside or changes[-1].tokens_before == count(old))
    ):
        return changes.pop().kind
    return RECALLED


def _json(value: object) -> bytes:
    # A lone surrogate becomes the escape that JSON has for it.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def _all_texts(messages: Sequence[dict[str, Any]]) -> Iterator[_Text]:
    return (text for message in messages for text in _result_texts(message["content"]))


def _result_texts(content: list[dict[str, Any]]) -> Iterator[_Text]:
    """The texts of the tool results in a message, in order, those that the engine looks at."""
    for block in content:
        if block.get("type") != "tool_result":
            continue
        inner = block.get("content")
        found = [inner] if isinstance(inner, str) else []
        if isinstance(inner, list):
            entries = (entry for entry in inner if isinstance(entry, dict) and entry.get("type") == "text")
            found = [entry["text"] for entry in entries if isinstance(entry.get("text"), str)]
        for number, text in enumerate(found, 1):
            yield _Text(f"{block.get('tool_use_id')} {number}", text)

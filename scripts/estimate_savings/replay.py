"""The engine on one context of a transcript: what became of each tool result, and what that was worth.

Only the body of the last request is fed. What becomes of a message depends on it and on those before it alone, so the
messages of every earlier request come out of it the same as they would have out of that request's own body.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from compression_engine import Engine, Outcome, WireFormat, tokens
from estimate_savings.contexts import Part, Step

__all__ = ["Replayed", "Result", "replay"]


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
        """The tokens that would not have been sent."""
        return self.tokens_before - self.tokens_after


@dataclass(slots=True)
class Replayed:
    """The results of a context, for each step those that are new in it."""

    results: list[list[Result]]
    problems: frozenset[str] = field(default_factory=frozenset)


class _Text(NamedTuple):
    id: str
    text: str


def replay(steps: list[Step], engine: Engine) -> Replayed:
    """What `engine` makes of the tool results of a context."""
    messages = _messages(part for step in steps for part in step.parts)
    rewrite = engine.rewrite(_body(messages), WireFormat.ANTHROPIC_MESSAGES)
    sent = [text for message in messages for text in _result_texts(message["content"])]
    arrived = sent
    if rewrite.outcome is Outcome.REWRITTEN:
        rewritten = json.loads(rewrite.body)["messages"]
        arrived = [text for message in rewritten for text in _result_texts(message["content"])]
    names = {block.get("id"): block.get("name") for message in messages for block in message["content"]}
    changes = iter(rewrite.changes)
    results = []
    for before, after in zip(sent, arrived, strict=True):
        tool = str(names.get(before.id.partition(" ")[0]) or "unknown tool")
        if before.text == after.text:
            count = tokens.count(before.text)
            results.append(Result(before.id, tool, "", before.text, after.text, count, count))
        else:
            change = next(changes)  # one for each text that changed, in order
            counts = (change.tokens_before, change.tokens_after)
            results.append(Result(before.id, tool, change.kind, before.text, after.text, *counts))
    remaining = iter(results)
    by_step = [[next(remaining) for part in step.parts for _ in _result_texts(part.content)] for step in steps]
    return Replayed(by_step, rewrite.problems)


def _messages(parts: Iterable[Part]) -> list[dict[str, Any]]:
    """The messages as the client sends them: neighbours of one role are one message."""
    messages: list[dict[str, Any]] = []
    for part in parts:
        if not part.content:
            continue
        if messages and messages[-1]["role"] == part.role:
            messages[-1]["content"] = [*messages[-1]["content"], *part.content]
        else:
            messages.append({"role": part.role, "content": part.content})
    return messages


def _body(messages: list[dict[str, Any]]) -> bytes:
    body = json.dumps({"messages": messages}, ensure_ascii=False, separators=(",", ":"))
    # A lone surrogate becomes the escape that JSON has for it.
    return body.encode("utf-8", "backslashreplace")


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

"""The engine on one context of a transcript: what became of each tool result, and what that was worth.

Only the body of the last request is fed. What becomes of a message depends on it and on those before it alone, so the
messages of every earlier request come out of it the same as they would have out of that request's own body.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from compression_engine import Engine, Outcome, WireFormat, tokens
from estimate_savings.contexts import Part, Step

__all__ = ["Replay", "Result"]


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


class _Text(NamedTuple):
    id: str
    text: str


class Replay:
    """The engine on the contexts of one transcript, those that share a beginning one after the other.

    `problems` are exceptions that kept the engine from rewriting a result, by name.
    """

    def __init__(self, engine: Engine) -> None:
        self.problems: set[str] = set()
        self._engine = engine
        self._known: dict[str, Result] = {}

    def results(self, steps: list[Step]) -> list[list[Result]]:
        """The tool results of a context: for each step those that are new in it."""
        ids = [[text.id for part in step.parts for text in _result_texts(part.content)] for step in steps]
        # A rewind often leads to nothing that has results, and what is before it was replayed already.
        if any(text_id not in self._known for of_step in ids for text_id in of_step):
            self._known.update((result.id, result) for result in self._replayed(steps))
        return [[self._known[text_id] for text_id in of_step] for of_step in ids]

    def _replayed(self, steps: list[Step]) -> Iterator[Result]:
        messages = _messages(part for step in steps for part in step.parts)
        rewrite = self._engine.rewrite(_body(messages), WireFormat.ANTHROPIC_MESSAGES)
        self.problems |= rewrite.problems
        arrived = json.loads(rewrite.body)["messages"] if rewrite.outcome is Outcome.REWRITTEN else messages
        names = {block.get("id"): block.get("name") for message in messages for block in message["content"]}
        changes = iter(rewrite.changes)
        for before, after in zip(_all_texts(messages), _all_texts(arrived), strict=True):
            tool = str(names.get(before.id.rpartition(" ")[0]) or "unknown tool")
            if before.text == after.text:
                count = tokens.count(before.text)
                yield Result(before.id, tool, "", before.text, before.text, count, count)
            else:
                change = next(changes)  # one for each text that changed, in order
                counts = (change.tokens_before, change.tokens_after)
                yield Result(before.id, tool, change.kind, before.text, after.text, *counts)


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


def _all_texts(messages: Iterable[dict[str, Any]]) -> Iterator[_Text]:
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

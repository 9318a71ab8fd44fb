"""The tool results of a request, as it came beside as it went. Pure, and content with whatever a body holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from compression_engine import ResultChange
from web_view.pairs import Pair

__all__ = ["Result", "call_label", "compared", "parsed", "texts_of"]

_LABELS = ("file_path", "notebook_path", "command", "pattern", "query", "url", "path", "description")
_LONGEST_LABEL = 200


@dataclass(frozen=True, slots=True)
class Result:
    """One text of a tool result; `change` is None where it went as it came, or where nothing is known of it."""

    number: int
    tool: str
    label: str
    before: str
    after: str
    change: ResultChange | None = None

    @property
    def is_rewritten(self) -> bool:
        """Whether it went otherwise than it came."""
        return self.before != self.after


def compared(pair: Pair) -> list[Result]:
    """The texts of all tool results, in order. Empty where the bodies are none of Anthropic Messages."""
    before, after = parsed(pair.before), parsed(pair.after)
    calls = {
        str(block.get("id")): block for block in _blocks(before) if block.get("type") == "tool_use" and block.get("id")
    }
    found = []
    ways = zip(_texts_of_results(before), _texts_of_results(after), strict=False)
    for number, ((use_id, text), (_, sent)) in enumerate(ways, 1):
        call = calls.get(use_id, {})
        found.append(Result(number, str(call.get("name", "")), call_label(call.get("input")), text, sent))
    return _with_changes(found, pair.changes)


def _with_changes(results: list[Result], changes: tuple[ResultChange, ...]) -> list[Result]:
    """Each rewritten result with what was done to it.

    The engine tells of the changes in the order of the results. What was recalled was rewritten, too, and is no change;
    so where the numbers differ, only the tools tell which belongs to which, and a doubt is left as one.
    """
    rewritten = [result for result in results if result.is_rewritten]
    by_number = {}
    if len(rewritten) == len(changes):
        by_number = {result.number: change for result, change in zip(rewritten, changes, strict=True)}
    return [
        Result(one.number, one.tool, one.label, one.before, one.after, by_number.get(one.number)) for one in results
    ]


def parsed(body: bytes) -> dict[str, Any]:
    """The JSON object that a body is; empty if it is none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _blocks(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    messages = body.get("messages")
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict):
                yield block


def _texts_of_results(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for block in _blocks(body):
        if block.get("type") == "tool_result":
            yield from ((str(block.get("tool_use_id", "")), text) for text in texts_of(block.get("content")))


def texts_of(content: object) -> list[str]:
    """The texts of a content: itself, or its text blocks."""
    if isinstance(content, str):
        return [content]
    blocks = content if isinstance(content, list) else []
    return [
        block["text"]
        for block in blocks
        if isinstance(block, dict) and block.get("type") == "text" and isinstance(block.get("text"), str)
    ]


def call_label(given: object) -> str:
    """What a tool call is about, on one line and short."""
    if not isinstance(given, dict):
        return ""
    label = next((given[name] for name in _LABELS if isinstance(given.get(name), str)), "")
    line = " ".join(label.split())
    return line if len(line) <= _LONGEST_LABEL else f"{line[:_LONGEST_LABEL]}…"

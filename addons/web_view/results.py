"""The tool results of a request, as it came beside as it went. Pure, and content with whatever a body holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from compression_engine import ResultChange, statements
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
    is_error: bool = False
    change: ResultChange | None = None

    @property
    def title(self) -> str:
        """Which one it is, on one line."""
        return f"{self.number}. {self.tool or 'a tool'} {self.label}".rstrip()

    @property
    def is_rewritten(self) -> bool:
        """Whether it went otherwise than it came."""
        return self.before != self.after

    @property
    def is_brought_back(self) -> bool:
        """Whether it is the original of a result that was set aside. Whatever else is rewritten holds a statement."""
        return self.is_rewritten and not statements.stand_in(self.after)


class _Text(NamedTuple):
    use_id: str
    is_error: bool
    text: str


def compared(pair: Pair) -> list[Result]:
    """The texts of all tool results, in order. Empty where the bodies are none of Anthropic Messages."""
    before, after = parsed(pair.before), parsed(pair.after)
    calls = {
        str(block.get("id")): block for block in _blocks(before) if block.get("type") == "tool_use" and block.get("id")
    }
    found = []
    ways = zip(_texts_of_results(before), _texts_of_results(after), strict=False)  # no text is added or left out
    for number, (came, went) in enumerate(ways, 1):
        call = calls.get(came.use_id, {})
        name, label = str(call.get("name", "")), call_label(call.get("input"))
        found.append(Result(number, name, label, came.text, went.text, came.is_error))
    return _with_changes(found, pair.changes)


def _with_changes(results: list[Result], changes: tuple[ResultChange, ...]) -> list[Result]:
    """Each rewritten result with what was done to it.

    The engine tells of changes in the order of the results; what it brought back is none. Where the numbers differ all
    the same, a doubt is left as one.
    """
    changed = [result.number for result in results if result.is_rewritten and not result.is_brought_back]
    by_number = dict(zip(changed, changes, strict=True)) if len(changed) == len(changes) else {}
    return [replace(one, change=by_number.get(one.number)) for one in results]


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


def _texts_of_results(body: dict[str, Any]) -> Iterator[_Text]:
    for block in _blocks(body):
        if block.get("type") == "tool_result":
            use_id, is_error = str(block.get("tool_use_id", "")), bool(block.get("is_error"))
            yield from (_Text(use_id, is_error, text) for text in texts_of(block.get("content")))


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

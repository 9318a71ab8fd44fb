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
_TEXTS = ("text", "input_text")


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


class _Call(NamedTuple):
    use_id: str
    name: str
    label: str


class _Text(NamedTuple):
    use_id: str
    is_error: bool
    text: str


def compared(pair: Pair) -> list[Result]:
    """The texts of all tool results, in order. Empty where the bodies are of none of the three wire formats."""
    before, after = parsed(pair.before), parsed(pair.after)
    calls: dict[str, _Call] = {}
    found: list[Result] = []
    ways = zip(_told(before), _told(after), strict=False)  # no text is added or left out
    for came, went in ways:
        if isinstance(came, _Call):
            calls[came.use_id] = came
        elif isinstance(went, _Text):
            call = calls.get(came.use_id)
            name, label = (call.name, call.label) if call else ("", "")
            found.append(Result(len(found) + 1, name, label, came.text, went.text, came.is_error))
    return _with_changes(found, pair.changes)


def _with_changes(results: list[Result], changes: tuple[ResultChange, ...]) -> list[Result]:
    """Each rewritten result with what was done to it.

    The engine tells of changes in the order of the results; what it brought back is none. Where the numbers differ all
    the same, a doubt is left as one.
    """
    changed = [result.number for result in results if result.is_rewritten and not result.is_brought_back]
    by_number = dict(zip(changed, changes, strict=True)) if len(changed) == len(changes) else {}
    return [replace(one, change=by_number.get(one.number)) for one in results]


def parsed(body: bytes | str) -> dict[str, Any]:
    """The JSON object that a body is; empty if it is none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _told(body: dict[str, Any]) -> Iterator[_Call | _Text]:
    """The calls, and the texts of the results, in their order."""
    messages = body.get("messages", body.get("input"))
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, dict):
            yield from _told_by(message)


def _told_by(message: dict[str, Any]) -> Iterator[_Call | _Text]:
    content, role = message.get("content"), message.get("role")
    if role is None:  # an item of Responses
        yield from _told_by_item(message)
    elif role in ("tool", "function"):
        use_id = message.get("tool_call_id") if role == "tool" else message.get("name")
        yield from _texts(use_id, content)
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict) and block.get("type") == "tool_use":
            yield _call(block.get("id"), block.get("name"), block.get("input"))
        elif isinstance(block, dict) and block.get("type") == "tool_result":
            yield from _texts(block.get("tool_use_id"), block.get("content"), is_error=bool(block.get("is_error")))
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            yield _call(call.get("id"), function.get("name"), function.get("arguments"))
    function = message.get("function_call")
    if isinstance(function, dict):  # of old clients: the answer names the function
        yield _call(function.get("name"), function.get("name"), function.get("arguments"))


def _told_by_item(item: dict[str, Any]) -> Iterator[_Call | _Text]:
    kind, use_id = str(item.get("type")), item.get("call_id") or item.get("id")
    if kind.endswith("_call"):
        yield _call(use_id, item.get("name") or kind, item.get("arguments", item.get("action")))
    if kind.endswith("_output") or kind == "mcp_call":
        yield from _texts(use_id, item.get("output"))


def _call(use_id: object, name: object, given: object) -> _Call:
    return _Call(str(use_id), str(name), call_label(parsed(given) if isinstance(given, str) else given))


def _texts(use_id: object, content: object, *, is_error: bool = False) -> Iterator[_Text]:
    yield from (_Text(str(use_id), is_error, text) for text in texts_of(content))


def texts_of(content: object) -> list[str]:
    """The texts of a content: itself, its text blocks, or what a shell wrote to both its channels."""
    if isinstance(content, str):
        return [content]
    blocks = content if isinstance(content, list) else []
    return [
        block[name]
        for block in blocks
        if isinstance(block, dict)
        for name in (("text",) if block.get("type") in _TEXTS else ("stdout", "stderr"))
        if isinstance(block.get(name), str) and (block[name] or name == "text")
    ]


def call_label(given: object) -> str:
    """What a tool call is about, on one line and short."""
    if not isinstance(given, dict):
        return ""
    label = next((given[name] for name in _LABELS if isinstance(given.get(name), str)), "")
    line = " ".join(label.split())
    return line if len(line) <= _LONGEST_LABEL else f"{line[:_LONGEST_LABEL]}…"

"""The conversation that a request holds, as text. Pure, and content with whatever a body holds.

Knows Anthropic Messages, Chat Completions and Responses by their shape: what they have in common is said once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from web_view.difference import cut
from web_view.results import call_label, parsed, texts_of

__all__ = ["transcript"]

_SHOWN = 1_500
_SHOWN_INPUT = 600
_TEXTS = frozenset({"text", "input_text", "output_text"})
_CALLS = frozenset({"tool_use", "server_tool_use", "function_call", "function"})


def transcript(body: dict[str, Any]) -> str:
    """Who said what, oldest first, with long texts cut; empty if `body` holds no conversation."""
    messages = body.get("messages", body.get("input"))
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if not isinstance(messages, list):
        return ""
    return "\n".join([*_head(body), *_Telling().messages(messages)])


def _head(body: dict[str, Any]) -> Iterator[str]:
    yield f"{body.get('model') or 'no model named'}, {_tools(body.get('tools'))}\n"
    system = body.get("system", body.get("instructions"))
    said = "\n".join(texts_of(system))
    if said:
        yield f"══ system\n{cut(said, _SHOWN, chr(10))}\n"


def _tools(tools: object) -> str:
    names = []
    for tool in tools if isinstance(tools, list) else []:
        function = tool.get("function") if isinstance(tool, dict) else None
        named = function if isinstance(function, dict) else tool
        names.append(str(named.get("name") or named.get("type")) if isinstance(named, dict) else "?")
    return f"{len(names)} tools: {', '.join(names)}" if names else "no tools"


class _Telling:
    """Tells messages in their order, and remembers which call a result belongs to."""

    def __init__(self) -> None:
        self._calls: dict[object, str] = {}

    def messages(self, messages: list[Any]) -> Iterator[str]:
        for number, message in enumerate(messages, 1):
            role = message.get("role") or message.get("type") if isinstance(message, dict) else None
            said = "\n".join(self._message(message)) if isinstance(message, dict) else "(no message)"
            yield f"══ {number}. {role or 'somebody'}\n{said}\n"

    def _message(self, message: dict[str, Any]) -> Iterator[str]:
        if message.get("role") in ("tool", "function"):  # those of old clients name the function
            yield self._result(message.get("tool_call_id", message.get("name")), message.get("content"))
        elif "role" not in message:  # an item of Responses stands by itself
            yield self._block(message)
        else:
            content = message.get("content")
            for block in [content] if isinstance(content, str) else content if isinstance(content, list) else []:
                yield self._block(block)
            if isinstance(old := message.get("function_call"), dict):
                yield self._block({"type": "function", "id": old.get("name"), "function": old})
            calls = message.get("tool_calls")
            for call in calls if isinstance(calls, list) else []:
                yield self._block(call)

    def _block(self, block: object) -> str:
        if isinstance(block, str):
            return cut(block, _SHOWN, "\n")
        kind = block.get("type") if isinstance(block, dict) else None
        if not isinstance(block, dict) or not isinstance(kind, str):
            return "(something else)"
        match kind:
            case "thinking":
                said = f"(thinks) {cut(str(block.get('thinking', '')), _SHOWN, chr(10))}"
            case "tool_result":
                failed = bool(block.get("is_error"))
                said = self._result(block.get("tool_use_id"), block.get("content"), is_error=failed)
            case _ if kind.endswith("_call_output"):
                said = self._result(block.get("call_id", block.get("id")), block.get("output"))
            case "mcp_call":
                said = f"{self._call(block)}\n{self._result(block.get('id'), block.get('output'))}"
            case _ if kind in _CALLS:
                said = self._call(block)
            case _ if kind in _TEXTS:
                said = cut(str(block.get("text", "")), _SHOWN, "\n")
            case _:
                said = f"({kind})"
        return said

    def _call(self, block: dict[str, Any]) -> str:
        function = block.get("function")
        named = function if isinstance(function, dict) else block
        name, given = str(named.get("name", "")), named.get("input", named.get("arguments"))
        identity = block.get("call_id", block.get("id"))
        if isinstance(identity, str):
            self._calls[identity] = f"{name} {call_label(parsed(given) if isinstance(given, str) else given)}".strip()
        return f"→ {name} {cut(given if isinstance(given, str) else _as_json(given), _SHOWN_INPUT)}"

    def _result(self, identity: object, content: object, *, is_error: bool = False) -> str:
        call = self._calls.get(identity, "a tool") if isinstance(identity, str) else "a tool"
        text = "\n".join(texts_of(content)) or "(no text)"
        return f"← {call}{' (failed)' if is_error else ''}\n{cut(text, _SHOWN, chr(10))}"


def _as_json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "(nested too deeply to be shown)"

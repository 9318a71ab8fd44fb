"""Chat Completions: `{"messages": [{"role": …, "content": "…" | [part, …] | null, …}, …], …}`.

Results are messages of their own: `tool`, with the id of the call, or `function` from old clients, with the name of the
function. The first messages are the system prompt, so there is little in front of them.

Sources: OpenAI's API reference, requests of the Python packages openai and azure-ai-inference.
"""

from __future__ import annotations

import re

from compression_engine.body import NotUnderstood, Span, members
from compression_engine.formats import openai
from compression_engine.formats.cache_marks import is_marked, without_marks
from compression_engine.formats.message import Message, Request, ToolCall
from compression_engine.formats.roles import is_answer
from compression_engine.formats.tool_calls import can_read_files
from compression_engine.formats.values import (
    digest_of,
    elements_within,
    is_array,
    is_object,
    member,
    members_within,
    string,
    texts_of,
)

__all__ = ["canonical", "is_answer", "is_marked", "parse", "read"]

# Unescaped quotes stand in no string, and nothing else in a message has a `content`.
_PART = b'"content":[{"type":"text","text":"'
_ONE_TEXT = re.compile(rb'"content":\[\{"type":"text","text":("[^"\\]*+(?:\\.[^"\\]*+)*+")\}\]', re.DOTALL)
_HEAD = ("model", "tools", "functions", "response_format")


def read(body: bytes) -> Request:
    """Where the messages stand in `body`, and what is around them. Raises NotUnderstood."""
    fields = members(body)
    array = fields.get("messages")
    if array is None:
        raise NotUnderstood("no messages")
    return Request(
        tuple(elements_within(body, array)),
        head=digest_of((name, member(body, fields, name)) for name in _HEAD),
        can_read_files=can_read_files(member(body, fields, "tools") or member(body, fields, "functions")),
        model=string(body, fields.get("model")) or "",
        keeps=openai.keeps(body, fields),
    )


def canonical(message: bytes) -> bytes:
    """The message as it will be sent in later requests: gateways before Claude pass `cache_control` on.

    A text that has one is a list of one part, and a plain string once the mark has moved along.
    """
    message = without_marks(message)
    return _ONE_TEXT.sub(rb'"content":\1', message, count=1) if _PART in message else message


def parse(message: bytes) -> Message:
    """The tool calls or the result in `message`. Raises NotUnderstood."""
    fields = members(message)
    match string(message, fields.get("role")):
        case "assistant":
            return Message(calls=(*_calls(message, fields), *_old_call(message, fields)))
        case "tool":
            call_id = string(message, fields.get("tool_call_id")) or ""
        case "function":
            call_id = _old_id(string(message, fields.get("name")))
        case _:
            return Message()
    return Message(results=(openai.result(message, call_id, texts_of(message, fields.get("content"))),))


def _calls(message: bytes, fields: dict[str, Span]) -> list[ToolCall]:
    calls = fields.get("tool_calls")
    if calls is None or not is_array(message, calls):
        return []
    found = []
    for one in elements_within(message, calls):
        call = members_within(message, one)
        # A custom tool takes a text and no JSON.
        if (function := call.get("function")) is not None:
            call_id = string(message, call.get("id")) or ""
            found.append(openai.call(message, members_within(message, function), call_id))
    return found


def _old_call(message: bytes, fields: dict[str, Span]) -> list[ToolCall]:
    call = fields.get("function_call")
    if call is None or not is_object(message, call):
        return []
    function = members_within(message, call)
    return [openai.call(message, function, _old_id(string(message, function.get("name"))))]


def _old_id(name: str | None) -> str:
    """What stands for the id of a call that has none: its answer follows it at once, so the name is enough."""
    return f"function {name}" if name else ""

"""Anthropic Messages: `{"messages": [{"role": …, "content": "…" | [block, …]}, …], …}`.

Source: the Messages API reference of Anthropic, and requests of Claude Code 2.1.197 in Foundry mode.
"""

from __future__ import annotations

import re

from compression_engine.body import NotUnderstood, Span, members
from compression_engine.formats.cache_marks import is_marked, without_marks
from compression_engine.formats.message import Message, Request, ToolCall, ToolResult
from compression_engine.formats.roles import is_answer
from compression_engine.formats.tool_calls import call_of, can_read_files
from compression_engine.formats.values import (
    digest_of,
    elements_within,
    is_array,
    member,
    members_within,
    string,
    texts_of,
)

__all__ = ["canonical", "is_answer", "is_marked", "parse", "read"]

# What is cached in front of the messages: a change in it is a new prompt cache. Claude Code's billing line is left out,
# as the service does. Observed in requests of Claude Code 2.1.197: it is the whole text of the first block.
_HEAD = ("model", "tools", "system")
# The beta of the long window stands in a header, on Bedrock in the body.
_LONG_WINDOW = b'"context-1m'
_BILLING = re.compile(rb'\{"type":"text","text":"x-anthropic-billing-header:[^"\\]*"\},?')

_PLAIN_TEXT = re.compile(rb'\{"role":"(user|assistant|system)","content":("[^"\\]*+(?:\\.[^"\\]*+)*+")\}', re.DOTALL)


def read(body: bytes) -> Request:
    """Where the messages stand in `body`, and what is around them. Raises NotUnderstood."""
    fields = members(body)
    array = fields.get("messages")
    if array is None:
        raise NotUnderstood("no messages")
    return Request(
        tuple(elements_within(body, array)),
        drops_old_results=b'"clear_tool_uses_' in member(body, fields, "context_management"),
        head=_head(body, fields),
        can_read_files=can_read_files(member(body, fields, "tools")),
        model=string(body, fields.get("model")) or "",
        asks_long_window=_LONG_WINDOW in member(body, fields, "anthropic_beta"),
    )


def _head(body: bytes, fields: dict[str, Span]) -> bytes:
    values = [(name, member(body, fields, name)) for name in _HEAD]
    return digest_of((name, _BILLING.sub(b"", value, count=1) if name == "system" else value) for name, value in values)


def canonical(message: bytes) -> bytes:
    """The message as it will be sent in later requests, as far as that can be told.

    Claude Code moves `cache_control` along to the last message, and sends a text as a list of one block while it is
    last and as a plain string afterwards. Two messages of the same canonical form hold the same tool calls and results.
    """
    message = without_marks(message)
    plain = _PLAIN_TEXT.fullmatch(message)
    if plain:
        return b'{"role":"%b","content":[{"type":"text","text":%b}]}' % (plain[1], plain[2])
    return message


def parse(message: bytes) -> Message:
    """The tool calls and results of `message`. Raises NotUnderstood."""
    fields = members(message)
    content = fields.get("content")
    if content is None or not is_array(message, content):
        return Message()
    role = string(message, fields.get("role"))
    calls = []
    results = []
    for block in elements_within(message, content):
        fields = members_within(message, block)
        kind = string(message, fields.get("type"))
        if kind == "tool_use" and role == "assistant":
            calls.append(_call(message, fields))
        elif kind == "tool_result" and role == "user":
            results.append(_result(message, fields))
    return Message(tuple(calls), tuple(results))


def _call(message: bytes, fields: dict[str, Span]) -> ToolCall:
    name = string(message, fields.get("name")) or ""
    return call_of(string(message, fields.get("id")) or "", name, member(message, fields, "input"))


def _result(message: bytes, fields: dict[str, Span]) -> ToolResult:
    is_error = fields.get("is_error")
    said = member(message, fields, "is_error")
    texts = texts_of(message, fields.get("content"))
    # What is neither of the two is the service's to refuse, and stays.
    flag = is_error if said in (b"true", b"false") else None
    return ToolResult(string(message, fields.get("tool_use_id")) or "", said not in (b"", b"false"), texts, flag)

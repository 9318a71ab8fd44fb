"""Anthropic Messages: `{"messages": [{"role": …, "content": "…" | [block, …]}, …], …}`.

Source: the Messages API reference of Anthropic, and requests of Claude Code 2.1.197 in Foundry mode.
"""

from __future__ import annotations

import hashlib
import re

import msgspec

from compression_engine.body import NotUnderstood, Span, Splice, decode_string, elements, members, splice
from compression_engine.formats.message import FileRange, Message, Request, ToolCall, ToolResult

__all__ = ["canonical", "is_answer", "is_marked", "parse", "read"]

# By which names tools take what they are about, the most telling first: Claude Code's, then those of other tools.
_PATHS = ("file_path", "notebook_path")
_LABELS = ("command", "pattern", "query", "url", "uri", "path")
# And by which the text that they give to a file, and the text that they put into one.
_CONTENTS = ("content",)
_EDITS = ("new_string",)

# The tool by which Claude Code reads a file, and which answers for one that is not there without asking anybody.
_READ = "Read"

# What is cached in front of the messages: a change in it is a new prompt cache. Claude Code's billing line is left out,
# as the service does. Observed in requests of Claude Code 2.1.197: it is the whole text of the first block.
_HEAD = ("model", "tools", "system")
_BILLING = re.compile(rb'\{"type":"text","text":"x-anthropic-billing-header:[^"\\]*"\},?')

_MARKED = b'"cache_control"'
_PLAIN_TEXT = re.compile(rb'\{"role":"(user|assistant|system)","content":("[^"\\]*+(?:\\.[^"\\]*+)*+")\}', re.DOTALL)


class _Tool(msgspec.Struct):
    name: str = ""


_TOOLS = msgspec.json.Decoder(list[_Tool])


def read(body: bytes) -> Request:
    """Where the messages stand in `body`, and what is around them. Raises NotUnderstood."""
    fields = members(body)
    array = fields.get("messages")
    if array is None:
        raise NotUnderstood("no messages")
    edits = fields.get("context_management")
    tools = fields.get("tools")
    return Request(
        tuple(_elements_within(body, array)),
        drops_old_results=edits is not None and b'"clear_tool_uses_' in body[edits.start : edits.end],
        head=_head(body, fields),
        can_read_files=tools is not None and _has_read(body[tools.start : tools.end]),
        model=_string(body, fields.get("model")) or "",
    )


def _head(body: bytes, fields: dict[str, Span]) -> bytes:
    digest = hashlib.sha256()
    for name in _HEAD:
        span = fields.get(name)
        value = body[span.start : span.end] if span else b""
        if name == "system":
            value = _BILLING.sub(b"", value, count=1)
        digest.update(b"%s %d " % (name.encode(), len(value)))
        digest.update(value)
    return digest.digest()


def _has_read(tools: bytes) -> bool:
    try:
        return any(tool.name == _READ for tool in _TOOLS.decode(tools))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False


def canonical(message: bytes) -> bytes:
    """The message as it will be sent in later requests, as far as that can be told.

    Claude Code moves `cache_control` along to the last message, and sends a text as a list of one block while it is
    last and as a plain string afterwards. Two messages of the same canonical form hold the same tool calls and results.
    """
    if _MARKED in message:
        message = _without_cache_control(message)
    plain = _PLAIN_TEXT.fullmatch(message)
    if plain:
        return b'{"role":"%b","content":[{"type":"text","text":%b}]}' % (plain[1], plain[2])
    return message


def is_answer(message: bytes) -> bool:
    """Whether the message is the assistant's."""
    if message.startswith(b'{"role":"'):
        return message.startswith(b'{"role":"assistant"')
    try:
        return _string(message, members(message).get("role")) == "assistant"
    except NotUnderstood:
        return False


def is_marked(message: bytes) -> bool:
    """Whether a block of the message has `cache_control`."""
    return _MARKED in message and _without_cache_control(message) != message


def parse(message: bytes) -> Message:
    """The tool calls and results of `message`. Raises NotUnderstood."""
    fields = members(message)
    content = fields.get("content")
    if content is None or message[content.start : content.start + 1] != b"[":
        return Message()
    role = _string(message, fields.get("role"))
    calls = []
    results = []
    for block in _elements_within(message, content):
        fields = _members_within(message, block)
        kind = _string(message, fields.get("type"))
        if kind == "tool_use" and role == "assistant":
            calls.append(_call(message, fields))
        elif kind == "tool_result" and role == "user":
            results.append(_result(message, fields))
    return Message(tuple(calls), tuple(results))


def _call(message: bytes, fields: dict[str, Span]) -> ToolCall:
    tool_use_id = _string(message, fields.get("id")) or ""
    name = _string(message, fields.get("name")) or ""
    given = fields.get("input")
    if given is None or message[given.start : given.start + 1] != b"{":
        return ToolCall(tool_use_id, name, tool=name)
    inputs = _members_within(message, given)

    def text(*names: str) -> str | None:
        found = (_string(message, inputs.get(name)) for name in names)
        return next((value for value in found if value), None)

    def number(key: str) -> int | None:
        span = inputs.get(key)
        written = message[span.start : span.end] if span else b""
        return int(written) if written.isdigit() else None

    path = text(*_PATHS)
    if path is None:
        return ToolCall(tool_use_id, text(*_LABELS) or name, command=text("command"), tool=name)
    edit = text(*_EDITS)
    reads = FileRange(path, number("offset"), number("limit")) if name == _READ else None
    return ToolCall(tool_use_id, path, text(*_CONTENTS), (edit,) if edit else (), reads, tool=name)


def _result(message: bytes, fields: dict[str, Span]) -> ToolResult:
    is_error = fields.get("is_error")
    failed = is_error is not None and message[is_error.start : is_error.end] != b"false"
    texts = _texts(message, fields.get("content"))
    return ToolResult(_string(message, fields.get("tool_use_id")) or "", failed, texts, is_error)


def _texts(message: bytes, content: Span | None) -> tuple[Span, ...]:
    """The strings of a result's content: the content itself, or the text blocks in it."""
    if content is None:
        return ()
    opening = message[content.start : content.start + 1]
    if opening == b'"':
        return (content,)
    if opening != b"[":
        return ()
    texts = []
    for block in _elements_within(message, content):
        fields = _members_within(message, block)
        text = fields.get("text")
        if _string(message, fields.get("type")) == "text" and text and message[text.start : text.start + 1] == b'"':
            texts.append(text)
    return tuple(texts)


def _members_within(text: bytes, value: Span) -> dict[str, Span]:
    """The members of an object that stands in `text`, as spans of `text`."""
    return members(text[value.start : value.end], value.start)


def _elements_within(text: bytes, value: Span) -> list[Span]:
    """The elements of an array that stands in `text`, as spans of `text`."""
    return elements(text[value.start : value.end], value.start)


def _string(message: bytes, value: Span | None) -> str | None:
    if value is None or message[value.start : value.start + 1] != b'"':
        return None
    return decode_string(message[value.start : value.end])


def _without_cache_control(message: bytes) -> bytes:
    """The message without the `cache_control` of its blocks and of the blocks in its tool results."""
    try:
        content = members(message).get("content")
        if content is None or message[content.start : content.start + 1] != b"[":
            return message
        cuts = []
        for block in _elements_within(message, content):
            fields = _members_within(message, block)
            inner = fields.get("content")
            if inner is not None and message[inner.start : inner.start + 1] == b"[":
                for nested in _elements_within(message, inner):
                    cuts += _cut(message, nested)
            cuts += _cut(message, block)
    except NotUnderstood:
        return message
    return splice(message, sorted(cuts))


def _cut(message: bytes, block: Span) -> list[Splice]:
    """What takes `cache_control` out of a block in which it is not the first member."""
    text = message[block.start : block.end]
    if _MARKED not in text:
        return []
    previous = None
    for key, value in _members_within(message, block).items():
        if key == "cache_control" and previous is not None:
            return [Splice(previous, value.end, b"")]
        previous = value.end
    return []

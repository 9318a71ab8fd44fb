"""What the engine looks at in a request, whatever the wire format."""

from __future__ import annotations

from typing import NamedTuple

from compression_engine.body import Span

__all__ = ["Message", "Request", "ToolCall", "ToolResult"]


class ToolCall(NamedTuple):
    """A tool call by the assistant. `label` is the file, command or search that it is about.

    `written` is the whole text that the call gives to that file, `edits` are the texts that it puts into it.
    """

    tool_use_id: str
    label: str
    written: str | None = None
    edits: tuple[str, ...] = ()


class ToolResult(NamedTuple):
    """A tool result: where its texts (JSON strings) stand in the message."""

    tool_use_id: str
    is_error: bool
    texts: tuple[Span, ...]


class Message(NamedTuple):
    """The tool calls and tool results of one message, in order."""

    calls: tuple[ToolCall, ...] = ()
    results: tuple[ToolResult, ...] = ()


class Request(NamedTuple):
    """Where a body's messages stand, and whether the service drops old tool results before the model reads them."""

    messages: tuple[Span, ...]
    drops_old_results: bool

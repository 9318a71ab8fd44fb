"""What the engine looks at in a request, whatever the wire format."""

from __future__ import annotations

from typing import NamedTuple

from compression_engine.body import Span

__all__ = ["Message", "Request", "ToolCall", "ToolResult"]


class FileRange(NamedTuple):
    """The part of a file that a call reads: so many `lines` from line `first`; None where the call does not say."""

    path: str
    first: int | None = None
    lines: int | None = None


class ToolCall(NamedTuple):
    """A tool call by the assistant. `label` is the file, command or search that it is about.

    `written` is the whole text that the call gives to that file, `edits` are the texts that it puts into it. `reads` is
    the part of a file that it asks for, `command` the command line that it runs. `tool` is the tool's name.
    """

    tool_use_id: str
    label: str
    written: str | None = None
    edits: tuple[str, ...] = ()
    reads: FileRange | None = None
    command: str | None = None
    tool: str = ""


class ToolResult(NamedTuple):
    """A tool result: where its texts (JSON strings) stand in the message, and its `is_error`, if it has one.

    `marks_errors`: the format has a mark for results that report an error; where it has none, `is_error` is what the
    text looks like. `was_sent`: the service has written the result itself, and holds it as it is.
    """

    tool_use_id: str
    is_error: bool
    texts: tuple[Span, ...]
    error_flag: Span | None = None
    marks_errors: bool = True
    was_sent: bool = False


class Message(NamedTuple):
    """The tool calls and tool results of one message, in order."""

    calls: tuple[ToolCall, ...] = ()
    results: tuple[ToolResult, ...] = ()


class Request(NamedTuple):
    """What stands in a body.

    `head` stands for what the service caches in front of the messages, and `keeps` is for how many seconds it keeps
    that, as the body asks. `can_read_files` says whether the tools can be asked for a file, `drops_old_results` whether
    the service drops old tool results before the model reads them. `model` is the name of the deployment.
    `asks_long_window`: the body asks for the model's long context window, as on Bedrock. `is_kept`: the service keeps
    the messages, so that later requests may go on from them without sending them.
    """

    messages: tuple[Span, ...]
    drops_old_results: bool = False
    head: bytes = b""
    can_read_files: bool = False
    model: str = ""
    keeps: float = 300.0
    asks_long_window: bool = False
    is_kept: bool = False

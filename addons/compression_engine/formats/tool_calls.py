"""What a call asks of a tool, told from the tool's name and its inputs.

Tools name what they take in their own ways. Sources: Claude Code 2.1.197, measured; the tool definitions of other
agents (opencode, Codex, Copilot, Gemini CLI) for the spellings that differ.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from compression_engine.body import NotUnderstood, Span, elements, members
from compression_engine.formats.message import FileRange, ToolCall
from compression_engine.formats.values import is_array, is_string, string

__all__ = ["call_of", "can_read_files"]

# By which names tools take what they are about, the most telling first.
_PATHS = ("file_path", "notebook_path", "filePath", "absolute_path", "target_file")
_COMMANDS = ("command", "cmd")
_LABELS = ("pattern", "query", "url", "uri", "path")
# And by which the text that they give to a file, and the text that they put into one.
_CONTENTS = ("content",)
_EDITS = ("new_string", "newString")

# The tools that read a file, and by which name they take its path, besides `_PATHS`.
_READERS = {"Read": "file_path", "read": "path", "read_file": "path", "readFile": "path"}
_MOST_DIGITS = 9
_SHELLS = ("sh", "bash", "zsh", "dash")


class _Tool(msgspec.Struct):
    """A tool as a request describes it; Chat Completions puts the name one level deeper."""

    name: str = ""
    function: _Function | None = None


class _Function(msgspec.Struct):
    name: str = ""


_TOOLS = msgspec.json.Decoder(list[_Tool])


def can_read_files(tools: bytes) -> bool:
    """Whether one of the `tools` of a body, a JSON array, reads files."""
    try:
        return any((tool.function.name if tool.function else tool.name) in _READERS for tool in _TOOLS.decode(tools))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def call_of(tool_use_id: str, name: str, inputs: bytes) -> ToolCall:
    """The call of the tool `name` with `inputs`, a JSON object. Inputs that cannot be read tell nothing."""
    try:
        given = _Inputs(inputs, members(inputs)) if inputs.startswith(b"{") else None
    except NotUnderstood:
        given = None
    if given is None:
        return ToolCall(tool_use_id, name, tool=name)
    reader = _READERS.get(name)
    path = given.text(_PATHS) or (given.text((reader,)) if reader else None)
    if path is None:
        command = given.command()
        return ToolCall(tool_use_id, command or given.text(_LABELS) or name, command=command, tool=name)
    edit = given.text(_EDITS)
    reads = FileRange(path, given.number("offset"), given.number("limit")) if reader else None
    return ToolCall(tool_use_id, path, given.text(_CONTENTS), (edit,) if edit else (), reads, tool=name)


class _Inputs(NamedTuple):
    """The inputs of a call, and where they stand in their JSON text."""

    json: bytes
    spans: dict[str, Span]

    def text(self, names: Iterable[str]) -> str | None:
        """The first of those that is a string and not empty."""
        found = (string(self.json, self.spans.get(name)) for name in names)
        return next((value for value in found if value), None)

    def number(self, name: str) -> int | None:
        span = self.spans.get(name)
        written = self.json[span.start : span.end] if span else b""
        return int(written) if written.isdigit() and len(written) <= _MOST_DIGITS else None

    def command(self) -> str | None:
        """The command line; some tools take it in words, mostly those of a shell that runs it."""
        return self.text(_COMMANDS) or self._words()

    def _words(self) -> str | None:
        for name in _COMMANDS:
            span = self.spans.get(name)
            if span is None or not is_array(self.json, span):
                continue
            value = self.json[span.start : span.end]
            given = elements(value)
            if not given or not all(is_string(value, word) for word in given):
                return None
            words = [string(value, word) or "" for word in given]
            match words:
                case [shell, "-c" | "-lc", line] if shell.rpartition("/")[2] in _SHELLS:
                    return line or None
                case _:
                    return shlex.join(words)
        return None

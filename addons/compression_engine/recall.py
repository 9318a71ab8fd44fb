"""The answer to a read of something that was set aside.

The client knows nothing of it: it says that the file does not exist, or that it is unchanged since the last read. The
original stands earlier in the same body and takes the place of that answer. What is not in this body is not answered.

Sources: what Claude Code 2.1.197 answers was measured. A read of a file that does not exist inside the working
directory needs no permission; a refusal reads differently and is never overridden.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from compression_engine import reminders, statements
from compression_engine.formats.message import FileRange, ToolCall

__all__ = ["Asked", "asked", "is_about_aside", "range_of", "says_unchanged"]

_NOT_THERE = "File does not exist"
# Other tools name the path, too, and what they say of it is short.
_NOT_FOUND = re.compile(r"not found|does not exist|doesn't exist|no such file|ENOENT|cannot find", re.IGNORECASE)
_LONGEST_REFUSAL = 1_000
_UNCHANGED = re.compile(r"^(?:Wasted call\b|File unchanged\b).{0,200}$", re.DOTALL)

_PATH = r"""(?:"(?P<double>[^"$`\\]+)"|'(?P<single>[^']+)'|(?P<plain>[^\s"'$`\\;|&<>(){}*?#~!]+))"""
_COMMAND = re.compile(
    r"\s*(?:(?P<cat>cat)"
    r"|(?P<end>head|tail)(?:\s+-(?:n\s*)?(?P<count>\d{1,9}))?"
    r"|sed\s+-n\s+(?P<quote>['\"]?)(?P<first>\d{1,9})(?:,(?P<last>\d{1,9}))?p(?P=quote))"
    rf"\s+(?:--\s+)?{_PATH}\s*",
)
# What the four say of a file that is not there, behind the exit code that Claude Code puts in front.
_NO_SUCH_FILE = re.compile(
    r"(?:Exit code \d\n)?(?:cat: (?P<cat>.+): No such file or directory"
    r"|(?:head|tail): cannot open '(?P<end>.+)' for reading: No such file or directory"
    r"|sed: can't read (?P<sed>.+): No such file or directory)"
)
_DEFAULT_COUNT = 10  # of head and tail


class Asked(NamedTuple):
    """What a call asks back: the text behind `key` from line `first` on, counted from 1; `lines` None: up to the end.

    `from_end`: so many lines, the last ones.
    """

    key: str
    first: int = 1
    lines: int | None = None
    from_end: bool = False

    def of(self, text: str) -> str:
        """What of `text` was asked for."""
        if self.from_end:
            lines = reminders.up_to_the_last(text).split("\n")  # Claude Code 2.1.332 puts one behind each result
            return "\n".join(lines[max(0, len(lines) - (self.lines or 0)) :])
        lines = text.split("\n")
        start = max(0, self.first - 1)
        if start >= len(lines):
            return f"[the text has {len(lines)} lines]"
        return "\n".join(lines[start : None if self.lines is None else start + self.lines])


def asked(call: ToolCall, answer: str, *, is_error: bool, marks_errors: bool = True) -> Asked | None:
    """What `call` asks back, if it does and `answer` shows that the client let it through; None otherwise.

    `call` alone decides what is asked; the answer must be that there is no such file. A Read that succeeded met a file
    that somebody put there: the original wins, unless the format does not mark errors, where this may be a refusal.
    """
    said = reminders.without(answer)
    if call.reads is None:
        return _asked_by_command(call.command or "", said)
    key = statements.read_aside_path(call.reads.path)
    if key is None or ((is_error or not marks_errors) and not _is_not_there(said, key)):
        return None
    return Asked(key, max(1, call.reads.first or 1), call.reads.lines)


def _is_not_there(said: str, key: str) -> bool:
    """Whether a reading tool says that there is no such file: in Claude Code's words, or in others' that name it."""
    if said.startswith(_NOT_THERE):
        return True
    return key in said and len(said) <= _LONGEST_REFUSAL and _NOT_FOUND.search(said) is not None


def _asked_by_command(command: str, said: str) -> Asked | None:
    found = _COMMAND.fullmatch(command)
    refused = _NO_SUCH_FILE.fullmatch(said)
    if found is None or refused is None:
        return None
    path = _path(found)
    key = statements.read_aside_path(path)
    if key is None or (refused["cat"] or refused["end"] or refused["sed"]) != path:
        return None
    if found["cat"]:
        return Asked(key)
    if found["end"]:
        count = int(found["count"] or _DEFAULT_COUNT)
        return Asked(key, lines=count, from_end=found["end"] == "tail")
    first = int(found["first"])
    return Asked(key, first, max(0, int(found["last"] or first) - first + 1))


def is_about_aside(call: ToolCall) -> bool:
    """Whether `call` names the path of something that was set aside, whoever named it to the assistant."""
    if call.reads is not None:
        return statements.read_aside_path(call.reads.path) is not None
    found = _COMMAND.fullmatch(call.command) if call.command is not None else None
    return found is not None and statements.read_aside_path(_path(found)) is not None


def says_unchanged(answer: str) -> bool:
    """Whether the client answers a Read by pointing to its earlier result."""
    return _UNCHANGED.match(reminders.without(answer)) is not None


def range_of(call: ToolCall) -> FileRange | None:
    """The part of a file that a call shows: a Read, or one `head` or `sed -n`, after which Claude Code knows it too."""
    if call.reads is not None:
        return FileRange(call.reads.path, call.reads.first or 1, call.reads.lines)
    found = _COMMAND.fullmatch(call.command) if call.command is not None else None
    if found is None or found["cat"] or found["end"] == "tail":
        return None
    if found["end"]:
        return FileRange(_path(found), 1, int(found["count"] or _DEFAULT_COUNT))
    first = int(found["first"])
    return FileRange(_path(found), first, int(found["last"] or first) - first + 1)


def _path(found: re.Match[str]) -> str:
    return found["double"] or found["single"] or found["plain"]

"""Everything that the engine ever writes into a tool result: the forms, and how they are read back.

A rewritten stretch of text opens with one line, the *heading*, that says how what follows is shown:

    [view 417203: every 20th numbered]

and lines that are not shown are stated in their place:

    [lines 120-180 as shown above]                      the same lines of the same file or command
    [lines 125-185 as 120-180 above]                    moved by an edit in between
    [lines 3-31 as 120-148 of main.py above]            of another file or command
    [lines 40-52 as 1-13 of the edit above]             what the assistant put into the same file with an edit
    [lines 31-38 as 12-19 of this result above]         further up in the same output
    [line above 11 more times]
    [next 40 lines: GET /items/* 200 in * ms]           of each only the words that differ, in order

They are statements of fact, short, and never instructions: imperative text in a tool result can be taken for an
injection.

The number in a heading belongs to the one result that it stands in (see `code_for`). So a heading that tool output
forges, or that was copied from another conversation, is not ours, is left alone, and is not undone; and a body that
comes through twice (two proxies in a row, a replayed flow) is recognised and left as it is.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

__all__ = [
    "ADDRESSES",
    "NO_CODES",
    "PATTERNS",
    "REPEATS",
    "SHOWN_ABOVE",
    "THE_EDIT",
    "THE_RESULT",
    "Heading",
    "Reference",
    "code_for",
    "is_aside",
    "is_line",
    "names_aside",
    "read_aside_path",
    "read_document",
    "read_grouped",
    "read_heading",
    "read_numbered",
    "read_pattern",
    "read_reference",
    "read_repeat",
    "split_headings",
    "stand_in",
    "write_aside",
    "write_document",
    "write_grouped",
    "write_heading",
    "write_numbered",
    "write_pattern",
    "write_reference",
    "write_repeat",
]

# The facts that a heading can state, besides which lines follow.
ADDRESSES = "^ for the url of the object"
NO_CODES = "terminal codes left out"
PATTERNS = "like lines by pattern"
REPEATS = "repeats counted"
SHOWN_ABOVE = "lines above left out"

THE_EDIT = "the edit"
"""What a reference calls the text that the assistant last put into the same file with an edit."""

THE_RESULT = "this result"
"""What a reference calls the result that it stands in."""


class Heading(NamedTuple):
    """How the text that follows is shown, and that text."""

    facts: tuple[str, ...]
    rest: str


class Reference(NamedTuple):
    """Lines `first` to `last` are lines `source_first`… of what `label` (None: the same thing) last showed."""

    first: int
    last: int
    source_first: int
    label: str | None = None


_DOCUMENT = "JSON"
_GROUPED = "hits grouped by file"
_GROUPED_FROM = f"{_GROUPED}, lines with a colon relative to "
_HEADING = re.compile(r"\[view (\d{6}): ([^\[\]\n]{1,400})\]\n")
_REFERENCE = re.compile(
    r"\[lines? (\d{1,9})(?:-(\d{1,9}))? as (?:shown|(\d{1,9})(?:-(\d{1,9}))?(?: of ([^\n]{1,300}))?) above\]"
)
_PATTERN = re.compile(r"\[next (\d{1,9}) lines: (.*)\]")
_REPEAT = re.compile(r"\[line above (\d{1,9}) more times\]")
_ANY = re.compile(
    r"\[view \d{6}: |^\[lines? \d{1,9}(?:-\d{1,9})? as |^\[line above \d{1,9} more times\]$|^\[next \d{1,9} lines: ",
    re.MULTILINE,
)
_OPENINGS = ("[view ", "[line", "[next ")
_EVERY = "every 20th numbered"
_NUMBERED = re.compile(rf"(?:lines ((?:\d{{1,9}}-\d{{1,9}}, )*\d{{1,9}}-\d{{1,9}}): )?{_EVERY}")


@functools.lru_cache(maxsize=64)
def code_for(tool_use_id: str) -> str:
    """The six digits that tie a heading to the result of one tool call.

    The id is chosen by the service for every call and is unknown to most of what produces output, so a forged heading
    meets its code one time in a million. Claude Code tells it to MCP servers and to hooks: see `content.room`.
    """
    digest = hashlib.sha256(b"view " + tool_use_id.encode("utf-8", "surrogatepass")).digest()
    return f"{int.from_bytes(digest[:8]) % 1_000_000:06}"


def stand_in(text: str) -> bool:
    """Whether `text` holds anything of the form of a statement, whoever wrote it."""
    return names_aside(text) or (any(opening in text for opening in _OPENINGS) and _ANY.search(text) is not None)


def is_line(line: str) -> bool:
    """Whether `line` opens like a statement."""
    return line.startswith(_OPENINGS)


def write_heading(code: str, facts: tuple[str, ...]) -> str:
    """The heading, with its line end."""
    return f"[view {code}: {'; '.join(facts)}]\n"


def read_heading(text: str, code: str) -> Heading | None:
    """The heading that `text` opens with, if it has one and it belongs to `code`."""
    found = _HEADING.match(text)
    if found is None or found[1] != code:
        return None
    return Heading(tuple(found[2].split("; ")), text[found.end() :])


def split_headings(text: str, code: str) -> list[str]:
    """`text` cut in front of every line that is a heading and belongs to `code`."""
    opening = f"\n[view {code}: "
    cuts = [0]
    at = text.find(opening)
    while at >= 0:
        if _HEADING.match(text, at + 1):
            cuts.append(at + 1)
        at = text.find(opening, at + 1)
    return [text[start:end] for start, end in pairwise([*cuts, len(text)])]


def write_document(layout: str) -> str:
    """The fact that a JSON document follows that was laid out as `layout` says."""
    return f"{_DOCUMENT}, {layout}"


def read_document(fact: str) -> str | None:
    """The layout that `write_document` was given, or None where `fact` states something else."""
    return fact.removeprefix(f"{_DOCUMENT}, ") if fact.startswith(f"{_DOCUMENT}, ") else None


def write_grouped(base: str) -> str:
    """The fact that hits are grouped by file; lines with a colon had their path without `base`."""
    return f"{_GROUPED_FROM}{base}" if base else _GROUPED


def read_grouped(fact: str) -> str | None:
    """The base that `write_grouped` was given, or None where `fact` states something else."""
    if fact == _GROUPED:
        return ""
    return fact.removeprefix(_GROUPED_FROM) if fact.startswith(_GROUPED_FROM) else None


def write_numbered(ranges: Sequence[tuple[int, int]]) -> str:
    """The fact that numbered lines follow: nothing else (no `ranges`), or blocks from a first to a last number."""
    blocks = ", ".join(f"{first}-{last}" for first, last in ranges)
    return f"lines {blocks}: {_EVERY}" if blocks else _EVERY


def read_numbered(fact: str) -> list[tuple[int, int]] | None:
    """The ranges that `write_numbered` was given, or None where `fact` states something else."""
    found = _NUMBERED.fullmatch(fact)
    if found is None:
        return None
    pairs = (block.split("-") for block in found[1].split(", ")) if found[1] else ()
    return [(int(first), int(last)) for first, last in pairs]


def write_reference(reference: Reference) -> str:
    """The line that stands for lines shown above."""
    first, last, source_first, label = reference
    lines = _numbers(first, last)
    source = _numbers(source_first, source_first + last - first)
    opening = f"[{'line' if first == last else 'lines'} {lines} as"
    if label is not None:
        return f"{opening} {source} of {label} above]"
    return f"{opening} shown above]" if source == lines else f"{opening} {source} above]"


def _numbers(first: int, last: int) -> str:
    return f"{first}" if first == last else f"{first}-{last}"


def read_reference(line: str) -> Reference | None:
    """The reference that `line` is, or None."""
    found = _REFERENCE.fullmatch(line) if line.startswith("[line") else None
    if found is None:
        return None
    first, last = int(found[1]), int(found[2] or found[1])
    source_first = int(found[3] or first)
    source_last = int(found[4] or found[3] or last)
    if last < first or source_last - source_first != last - first:
        return None
    return Reference(first, last, source_first, found[5])


def write_pattern(count: int, pattern: str) -> str:
    """The line that says what the next `count` lines have in common."""
    return f"[next {count} lines: {pattern}]"


def read_pattern(line: str) -> tuple[int, str] | None:
    """The count and the pattern that `line` states, or None."""
    found = _PATTERN.fullmatch(line) if line.startswith("[next ") else None
    return (int(found[1]), found[2]) if found else None


def write_repeat(times: int) -> str:
    """The line that stands for `times` further copies of the line above."""
    return f"[line above {times} more times]"


def read_repeat(line: str) -> int | None:
    """How many further copies of the line above `line` stands for, or None."""
    found = _REPEAT.fullmatch(line)
    return int(found[1]) if found else None


_ASIDE_DIRECTORY = ".foundry-compress"
_ASIDE_KEY = r"[0-9a-f]{32,64}"
_ASIDE_PATH = re.compile(rf"(?:^|[\\/]){re.escape(_ASIDE_DIRECTORY)}[\\/]({_ASIDE_KEY})\.txt")
_ASIDE_ANYWHERE = re.compile(rf"{re.escape(_ASIDE_DIRECTORY)}[\\/]{_ASIDE_KEY}\.txt")
_ASIDE_REST = re.compile(rf"[^\n]*\. Full output saved to: {re.escape(_ASIDE_DIRECTORY)}/{_ASIDE_KEY}\.txt\]")


def write_aside(code: str, about: str, key: str) -> str:
    """The line that stands for a result that is set aside: what it was, and the path at which `key` can be read.

    "Full output saved to" is what Claude Code itself says of a result that is too long.
    """
    return f"[set aside {code}: {about}. Full output saved to: {_ASIDE_DIRECTORY}/{key}.txt]"


def is_aside(text: str, code: str) -> bool:
    """Whether `text`, a whole result, holds the line that stands for it, with its own `code`."""
    opening = f"[set aside {code}: "
    at = text.find(opening)
    while at >= 0:
        if _ASIDE_REST.match(text, at + len(opening)):
            return True
        at = text.find(opening, at + 1)
    return False


def read_aside_path(path: str) -> str | None:
    """The key in a path that a line of `write_aside` named, as it was or made absolute; None for any other path."""
    found = _ASIDE_PATH.search(path)
    return found[1] if found and found.end() == len(path) else None


def names_aside(text: str) -> bool:
    """Whether `text` holds something of the form of such a line or path, whoever wrote it."""
    return "[set aside " in text or (_ASIDE_DIRECTORY in text and _ASIDE_ANYWHERE.search(text) is not None)

"""Old results that a line stands for: which of them, the line, and the path that brings them back.

The client sends its whole transcript with every request, so what is set aside is still in the body, and a read of the
path in the line is answered from there (`recall`). Nothing is stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from compression_engine import recall, reminders, statements
from compression_engine.content import failures, json_document, numbered_file, search_hits
from compression_engine.formats.message import ToolCall
from compression_engine.policy import Place

__all__ = ["Candidate", "Setting", "choose", "key_of", "write"]

# A text that would still be longer than this share of itself is kept whole: it is short, or tells of many failures.
_MOST_KEPT = 0.4
_LONGEST_COMMAND = 60
_LONGEST_NAME = 255  # which no file system goes beyond
# About how many characters of tool output make a token: with it limits are given in tokens and cost nothing to check.
_CHARACTERS_A_TOKEN = 3.5
# The size for which the window holds, in tokens. One of twice the size goes when half as much is newer.
_REFERENCE = 1_000
# How much sooner a result goes when a file has been changed since: it was read for that.
_SOONER = 64
# So many tokens of newer results are in view in any case.
_LEAST_NEWER = 500


class Setting(NamedTuple):
    """What is set aside at a cold moment. The defaults are measured: docs/set-aside.md.

    `window`: how many newer tokens of tool results must stand behind one of 1,000 tokens for it to go. `least`: how
    many tokens it must have itself. A token here is 3.5 characters.
    """

    window: int = 20_000
    least: int = 60


class Candidate(NamedTuple):
    """A tool result that might be set aside."""

    place: Place
    size: int  # in characters
    may_go: bool  # False: an error, or something that stays for another reason
    changes: int = 0  # how many times files had been changed when it came in


def choose(candidates: Sequence[Candidate], setting: Setting, *, since: int = 0) -> tuple[Place, ...]:
    """The places to set aside, of `candidates` in the order of the conversation, from message `since` on.

    What is large and old goes first. What came in since the assistant last changed a file stays much longer: that is
    what it is working with.
    """
    chosen = []
    newer = 0.0
    changes = candidates[-1].changes if candidates else 0
    for candidate in reversed(candidates):
        size = candidate.size / _CHARACTERS_A_TOKEN
        needed = setting.window * _REFERENCE / (1 if candidate.changes == changes else _SOONER)
        old = newer >= _LEAST_NEWER and newer * size >= needed
        if old and candidate.may_go and size >= setting.least and candidate.place.message >= since:
            chosen.append(candidate.place)
        newer += size
    return tuple(reversed(chosen))


def key_of(tool_use_id: str, text: str) -> str:
    """128 bits of SHA-256, in hexadecimal, that stand for a result by its call and its whole text."""
    digest = hashlib.sha256(tool_use_id.encode("utf-8", "surrogatepass"))
    digest.update(b"\0")
    digest.update(text.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:32]


def write(text: str, call: ToolCall, key: str) -> str | None:
    """What stands for `text`, the result of `call`; None where too much of it would have to stay anyway.

    Lines of output that tell of a failure stay. Reminders in `text` are the caller's to keep.
    """
    said = "".join(reminders.split(text)[::2])
    reading = numbered_file.read(said)
    line = statements.write_aside(statements.code_for(call.tool_use_id), _about(said, reading, call), key)
    stub = "\n".join([line, *(_kept(said) if reading is None else ())])
    return stub if len(stub) <= _MOST_KEPT * len(said) else None


def _about(text: str, reading: numbered_file.Reading | None, call: ToolCall) -> str:
    """What the text, a numbered reading or not, is in a few words."""
    count = text.count("\n") + 1
    lines = f"{count} lines" if count > 1 else f"{len(text)} characters"
    if recall.is_about_aside(call):
        return lines
    if reading is not None and call.reads is not None:
        blocks = ", ".join(f"{first}-{last}" for first, last in numbered_file.ranges(reading.lines))
        return f"lines {blocks} of {_name(call.reads.path)}"
    if call.command is not None:
        return f"{lines} of {_short(call.command)}"
    return f"{lines} of {_short(call.label)}" if call.label else lines


def _name(path: str) -> str:
    """The last name of a path, which may hold brackets, on one line of which nothing is hidden."""
    name = _printable(path.replace("\\", "/").rpartition("/")[2] or path)
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


def _printable(text: str) -> str:
    """`text` with a blank for what ends a line, moves a cursor or turns the direction of writing."""
    return "".join(character if character.isprintable() else " " for character in text)


def _short(label: str) -> str:
    """The beginning of a command's first line, with nothing in it that could end a statement."""
    line = _printable(label.strip().partition("\n")[0]).replace("[", "(").replace("]", ")")
    return line if len(line) <= _LONGEST_COMMAND and "\n" not in label.strip() else f"{line[:_LONGEST_COMMAND]}…"


def _kept(text: str) -> list[str]:
    """What stays of an output: the files that search hits name, since somebody may look for them next, and failures.

    It is no numbered reading: words like "error" tell of no failure in the text of a file. Nor do they in a hit, in a
    diff or in data.
    """
    lines = text.split("\n")
    if _is_diff(lines) or json_document.read(text.lstrip()) is not None:
        return []
    hits = search_hits.find(lines)
    others = [line for line, hit in zip(lines, hits, strict=True) if hit is None and line.strip()]
    failing = [line for line, fails in zip(others, failures.find(others), strict=True) if fails]
    return [*dict.fromkeys(hit for hit in hits if hit), *failing]


def _is_diff(lines: Sequence[str]) -> bool:
    return any(line.startswith("@@ -") for line in lines)

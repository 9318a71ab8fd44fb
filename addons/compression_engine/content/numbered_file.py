"""File readings with a line number before every line, as Read, `cat -n` and edit results give them.

The number stays where a block of numbered lines starts, where the sequence jumps, and on every twentieth line, and is
aligned in the first of these only. The others follow from these: a line without a number is the line after the one
above it. How far a block reaches is stated in the heading, so that text behind it is not taken for numbered lines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from compression_engine.content.lines import Item, Line
from compression_engine.statements import Reference, read_reference, write_reference

__all__ = ["Gutter", "Reading", "is_plain", "ranges", "read", "start", "unfold", "write"]

_GUTTER = re.compile(r"( *)(\d{1,9})(→|\t)")
_GUTTER_LINE = re.compile(rf"^{_GUTTER.pattern}", re.MULTILINE)
_MARKS = ("→", "\t")
_KEPT_EVERY = 20
_NO_END = 10**12
_WIDEST = 100  # characters in front of a line's number; no client sets more than a few


class Gutter(NamedTuple):
    """How numbers are set: right-aligned to `width` characters (0: not aligned), then `mark`."""

    width: int
    mark: str

    def of(self, number: int) -> str:
        """The text that stands before line `number`."""
        return f"{number:>{self.width}}{self.mark}"

    def short(self, number: int) -> str:
        """The same without alignment: how all but the first number of a block are written."""
        return f"{number}{self.mark}"


class Reading(NamedTuple):
    """Lines with the gutter taken off. Lines around the numbered ones have no number."""

    gutter: Gutter
    lines: list[Line]

    def text(self) -> str:
        """The result that this was read from."""
        return "\n".join(
            line.text if line.number is None else self.gutter.of(line.number) + line.text for line in self.lines
        )


def read(text: str) -> Reading | None:
    """`text` as a numbered reading, or None where fewer than two lines in a row are numbered."""
    if not any(mark in text for mark in _MARKS):
        return None
    lines = text.split("\n")
    gutter = _gutter(lines)
    if gutter is None:
        return None
    numbered = [_number(line, gutter) for line in lines]
    out = []
    for at, (line, number) in enumerate(zip(lines, numbered, strict=True)):
        if number is not None and (
            (at and numbered[at - 1] == number - 1) or (at + 1 < len(lines) and numbered[at + 1] == number + 1)
        ):
            out.append(Line(number, line[len(gutter.of(number)) :]))
        else:
            out.append(Line(None, line))
    if all(line.number is None for line in out):
        return None
    return Reading(gutter, out)


def start(text: str) -> int:
    """Where the first numbered line starts in `text` that is followed by the next; 0 where there is none."""
    if not any(mark in text for mark in _MARKS):
        return 0
    for found in _GUTTER_LINE.finditer(text):
        line_end = text.find("\n", found.end())
        following = _GUTTER.match(text, line_end + 1) if line_end >= 0 else None
        if following and int(following[2]) == int(found[2]) + 1 and following[3] == found[3]:
            return found.start()
    return 0


def ranges(lines: Sequence[Line]) -> list[tuple[int, int]]:
    """First and last number of every block of consecutive numbered lines."""
    blocks: list[tuple[int, int]] = []
    previous: int | None = None
    for number, _ in lines:
        if number is not None:
            if previous is not None and number == previous + 1:
                blocks[-1] = (blocks[-1][0], number)
            else:
                blocks.append((number, number))
        previous = number
    return blocks


def is_plain(lines: Sequence[Line]) -> bool:
    """Whether the lines are one block with nothing but line ends behind it, so that its range need not be stated."""
    numbered = len(lines)
    while numbered and lines[numbered - 1] == Line(None, ""):
        numbered -= 1
    return bool(numbered) and len(ranges(lines)) == 1 and all(line.number is not None for line in lines[:numbered])


def write(items: Sequence[Item], gutter: Gutter) -> str:
    """The shortened reading. The first line of every block must be shown, not referred to."""
    out = []
    follows: int | None = None  # the number that a line without one would be given here
    behind: int | None = None  # the number of the line above, shown or referred to
    last = max((at for at, item in enumerate(items) if item[0] is not None), default=0)
    for at, item in enumerate(items):
        if isinstance(item, Reference):
            out.append(write_reference(item))
            follows, behind = None, item.last
            continue
        number, text = item
        starts = behind is None or number != behind + 1
        ends = at == last and not text  # without its number it would be taken for a mere line end
        derivable = number is not None and number == follows and number % _KEPT_EVERY and not ends
        if number is None or (derivable and not _misread(text, number, gutter)):
            out.append(text)
        else:
            out.append((gutter.of(number) if starts else gutter.short(number)) + text)
        follows = None if number is None else number + 1
        behind = number
    return "\n".join(out)


def unfold(text: str, blocks: Sequence[tuple[int, int]]) -> tuple[Gutter, list[Item]] | None:
    """What `write` was given, from what it wrote and from `blocks`; None where the two do not fit.

    `blocks` is what `ranges` gave, or empty for a reading that `is_plain`.
    """
    lines = text.split("\n")
    first = blocks[0][0] if blocks else None
    gutter = _gutter(lines, first)
    if gutter is None or gutter.width > _WIDEST:
        return None
    tail = 0
    if first is None:
        tail = len(text) - len(text.rstrip("\n"))
        found = _GUTTER.match(text)
        if found is None:
            return None
        blocks = [(int(found[2]), _NO_END)]
    items: list[Item] = []
    waiting = iter(blocks)
    number, last = next(waiting)
    inside = False
    for line in lines[: len(lines) - tail]:
        mark = gutter.short(number) if inside else gutter.of(number)
        marked = line.startswith(mark)
        if not (inside or marked):
            items.append(Line(None, line))
            continue
        inside = True
        reference = None if marked else read_reference(line)
        if reference is not None and reference.first == number and reference.last <= last:
            items.append(reference)
            number = reference.last + 1
        else:
            items.append(Line(number, line[len(mark) :] if marked else line))
            number += 1
        if number > last:
            inside = False
            # Behind the last block no line can be marked: no line starts with the gutter of number -1.
            number, last = next(waiting, (-1, -1))
    if last not in (-1, _NO_END):
        return None
    return gutter, items + [Line(None, "")] * tail


def _gutter(lines: Sequence[str], number: int | None = None) -> Gutter | None:
    """How the first numbered line, or the first one with this number, is set."""
    for line in lines:
        found = _GUTTER.match(line)
        if found and number in (None, int(found[2])):
            return _gutter_of(found)
    return None


def _gutter_of(found: re.Match[str]) -> Gutter:
    return Gutter(len(found[1]) + len(found[2]) if found[1] else 0, found[3])


def _number(line: str, gutter: Gutter) -> int | None:
    """The number of a line whose gutter is exactly as `gutter` sets it."""
    found = _GUTTER.match(line)
    if found is None:
        return None
    number = int(found[2])
    return number if found[0] == gutter.of(number) else None


def _misread(text: str, number: int, gutter: Gutter) -> bool:
    """Whether the line, without its number, would be read as something else."""
    return text.startswith(gutter.short(number)) or read_reference(text) is not None

"""File readings with a line number before every line, as Read, `cat -n` and edit results give them.

The number stays where a block of numbered lines starts, where the sequence jumps, and on every twentieth line, and is
aligned in the first of these only. The others follow from these: a line without a number is the line after the one
above it. How far a block reaches is stated in the heading, so that text behind it is not taken for numbered lines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

from compression_engine.content.lines import Item, Line, number_lines
from compression_engine.statements import Reference, read_reference, write_reference

__all__ = ["Gutter", "Reading", "is_plain", "ranges", "read", "start", "unfold", "write"]

_GUTTER = re.compile(r"( *)(\d{1,9})(→|\t)")
_GUTTER_LINE = re.compile(rf"^{_GUTTER.pattern}", re.MULTILINE)
_MARKS = ("→", "\t")
_KEPT_EVERY = 20
_LARGEST = 10**9 - 1
# How lines begin that may have a number, or be references.
_MARKED = frozenset("0123456789[")
_NO_END = 10**12
_WIDEST = 100  # characters in front of a line's number; no client sets more than a few


class Gutter(NamedTuple):
    """How numbers are set: right-aligned to `width` characters (0: not aligned), then `mark`."""

    width: int
    mark: str

    def of(self, number: int) -> str:
        """The text that stands before line `number`."""
        return f"{number}{self.mark}".rjust(self.width + 1)

    def short(self, number: int) -> str:
        """The same without alignment: how all but the first number of a block are written."""
        return f"{number}{self.mark}"


class Reading(NamedTuple):
    """Lines with the gutter taken off. Lines around the numbered ones have no number."""

    gutter: Gutter
    lines: list[Line]

    def text(self) -> str:
        """The result that this was read from."""
        mark, width = self.gutter.mark, self.gutter.width + 1
        return "\n".join(
            [text if number is None else f"{number}{mark}".rjust(width) + text for number, text in self.lines]
        )


def read(text: str) -> Reading | None:
    """`text` as a numbered reading, or None where fewer than two lines in a row are numbered."""
    if not any(mark in text for mark in _MARKS):
        return None
    lines = text.split("\n")
    gutter = _gutter(lines)
    if gutter is None:
        return None
    out: list[Line] = []
    is_reading = False
    while len(out) < len(lines):
        line = lines[len(out)]
        number = _number(line, gutter)
        texts = [] if number is None else _texts(lines, len(out), number, gutter)
        if number is not None and len(texts) > 1:
            out += number_lines(texts, number)
            is_reading = True
        else:
            out.append(Line(None, line))
    return Reading(gutter, out) if is_reading else None


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
    numbers = [number for number, _ in lines]
    firsts = [
        number
        for before, number in zip([None, *numbers], numbers, strict=False)
        if number is not None and (before is None or number != before + 1)
    ]
    lasts = [
        number
        for number, after in zip_longest(numbers, numbers[1:])
        if number is not None and (after is None or after != number + 1)
    ]
    return list(zip(firsts, lasts, strict=True))


def is_plain(lines: Sequence[Line]) -> bool:
    """Whether the lines are one block with nothing but line ends behind it, so that its range need not be stated."""
    blocks = ranges(lines)
    if len(blocks) != 1 or lines[0].number is None:
        return False
    first, last = blocks[0]
    return all(line == Line(None, "") for line in lines[last - first + 1 :])


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
        ends = at == last and not text  # without its number it would be taken for a mere line end
        derivable = number is not None and number == follows and number % _KEPT_EVERY and not ends
        if number is None or (derivable and not (text[:1] in _MARKED and _misread(text, number, gutter))):
            out.append(text)
        else:
            starts = behind is None or number != behind + 1
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
    texts: list[str] = []  # of the lines in front of `number` that are not among `items` yet
    for line in lines[: len(lines) - tail]:
        if inside and line[:1] not in _MARKED:
            texts.append(line)
            number += 1
        else:
            mark = gutter.short(number) if inside else gutter.of(number)
            marked = line.startswith(mark)
            if not (inside or marked):
                items.append(Line(None, line))
                continue
            inside = True
            reference = None if marked else read_reference(line)
            if reference is not None and reference.first == number and reference.last <= last:
                items += number_lines(texts, number - len(texts))
                texts.clear()
                items.append(reference)
                number = reference.last + 1
            else:
                texts.append(line[len(mark) :] if marked else line)
                number += 1
        if number > last:
            items += number_lines(texts, number - len(texts))
            texts.clear()
            inside = False
            # Behind the last block no line can be marked: no line starts with the gutter of number -1.
            number, last = next(waiting, (-1, -1))
    if last not in (-1, _NO_END):
        return None
    items += number_lines(texts, number - len(texts))
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


def _texts(lines: Sequence[str], at: int, number: int, gutter: Gutter) -> list[str]:
    """What stands behind their numbers in the lines from `at` on that are numbered from `number` on."""
    texts = []
    mark, width = gutter.mark, gutter.width + 1
    for following in range(at, len(lines)):
        line = lines[following]
        before = f"{number}{mark}".rjust(width)
        if number > _LARGEST or not line.startswith(before):
            break
        texts.append(line[len(before) :])
        number += 1
    return texts


def _misread(text: str, number: int, gutter: Gutter) -> bool:
    """Whether the line, without its number, would be read as something else."""
    return text.startswith(gutter.short(number)) or read_reference(text) is not None

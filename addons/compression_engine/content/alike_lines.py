"""Lines that begin alike or differ in a few words only: logs, builds, test runs, pings, blame.

What they share is written once as a pattern, with `*` for a word that differs and `**` at the end for a rest that does,
and each line as its words and its rest:

    [next 3 lines: 64 bytes from 10.0.0.1: icmp_seq=* ttl=57 time=* ms]
    1 12.1
    2 12.4
    3 11.9

Words are never cut: a path, a name or a number that somebody may look for stands whole where it stood.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import compress
from operator import eq
from typing import NamedTuple

from compression_engine.content.room import Room
from compression_engine.statements import read_pattern, write_pattern

__all__ = ["fold", "unfold"]

# What a word can hold besides letters and digits.
_MARKS = "_./@+~%#-"
_PIECES = re.compile(r"[\w./@+~%#-]+|\n|[^\w./@+~%#\n-]+")
# The same for ASCII, in half the time: what a class of characters holds is looked up in a table.
_ASCII_PIECES = re.compile(r"[A-Za-z0-9_./@+~%#-]+|\n|[^A-Za-z0-9_./@+~%#\n-]+")
_GAP = "*"
_REST = "**"
_LEAST_LINES = 3
# Below, costs and savings are in twentieths of a token.
_TOKEN = 20
# About what a pattern's brackets and count cost, and what a run must save besides.
_PATTERN_COST = 8 * _TOKEN
_LEAST_SAVING = 8 * _TOKEN
# Less than this in each line is not worth looking on for.
_LEAST_A_LINE = 24
# What a row says in front of what varies: one more token before a number, little before a word.
_BLANK_BEFORE_NUMBER = 24
_BLANK_BEFORE_WORD = 8
_BLANK_BEFORE_REST = 4
# Lines are looked at up to this many pieces: behind that, all is rest.
_MOST_PIECES = 80


class _Shape(NamedTuple):
    """What lines share: what stands between words up to piece `head`, and the words at the places `words`.

    `rest`: whether some go on differently behind that. `saving` is what this is worth in each line but the first.
    """

    head: int
    words: Sequence[int]
    rest: bool
    saving: int


class _Run(NamedTuple):
    """Lines up to `end` that are alike: the words at the places `varies` differ, and what stands from `head` on."""

    end: int
    varies: list[int]
    head: int
    rest: bool


def fold(lines: Sequence[str], stays: Sequence[bool]) -> list[str] | None:
    """The lines with runs of like ones as a pattern and rows; None where no run is worth it.

    `stays` says for each line whether it is to be left as it is.
    """
    cuts = _cut(["" if stay or _GAP in line else line for line, stay in zip(lines, stays, strict=True)])
    out: list[str] = []
    at = 0
    while at < len(lines):
        run = _longest_run(cuts, at)
        if run is None:
            out.append(lines[at])
            at += 1
            continue
        end, varies, head, rest = run
        pattern = cuts[at][:head]
        for place in varies:
            pattern[place] = _GAP
        out.append(write_pattern(end - at, "".join(pattern) + (_REST if rest else "")))
        for pieces in cuts[at:end]:
            row = [pieces[place] for place in varies]
            if rest:
                row.append("".join(pieces[head:]))
            out.append(" ".join(row))
        at = end
    return out if len(out) > len(lines) else None


def unfold(lines: Sequence[str], room: Room) -> list[str]:
    """The lines that `fold` was given. Raises TooLongError."""
    out: list[str] = []
    at = 0
    while at < len(lines):
        found = read_pattern(lines[at])
        at += 1
        if found is None or at + found[0] > len(lines):
            out.append(lines[at - 1])
            continue
        count, pattern = found
        rest = pattern.endswith(_REST)
        shared = (pattern.removesuffix(_REST) + _GAP if rest else pattern).split(_GAP)
        whole = "%s".join(part.replace("%", "%%") for part in shared)
        gaps = len(shared) - 1
        room.take(len(pattern), count)
        for row in lines[at : at + count]:
            words = row.split(" ", gaps - 1) if rest else row.split(" ")
            out.append(whole % tuple(words) if len(words) == gaps else row)
        at += count
    return out


def _cut(lines: Sequence[str]) -> list[list[str]]:
    """The pieces of each line. One search over all lines is faster than one for each."""
    text = "\n".join(lines)
    pieces = (_ASCII_PIECES if text.isascii() else _PIECES).findall(text)
    pieces.append("\n")
    cuts = []
    at = 0
    for _ in lines:
        end = pieces.index("\n", at)
        cuts.append(pieces[at:end])
        at = end + 1
    return cuts


def _opens(pieces: Sequence[str]) -> int:
    """Where the first piece stands that is no word: 0 or 1."""
    return 1 if pieces and (pieces[0][0].isalnum() or pieces[0][0] in _MARKS) else 0


def _longest_run(cuts: Sequence[list[str]], at: int) -> _Run | None:
    """The run of like lines from `at` that saves most, if one saves enough."""
    if at + _LEAST_LINES > len(cuts):
        return None
    first = cuts[at]
    if not (_may_share(first, cuts[at + 1]) and _may_share(first, cuts[at + 2])):
        return None
    growing = _Growing(first)
    best, shape = at, growing.shape
    most = _LEAST_SAVING
    for end in range(at + 2, len(cuts) + 1):
        growing.take(cuts[end - 1])
        saving = growing.shape.saving
        # With less and less to share, the lines up to `best` lose more than one pattern spares another.
        if saving < _LEAST_A_LINE or (best > at and (best - at) * saving <= most):
            break
        total = (end - at - 1) * saving - _PATTERN_COST
        # Behind a shorter run that shares more, the further lines can be a run of their own.
        alone = (end - best - 1) * saving - _PATTERN_COST if best > at else 0
        if total > most + max(alone, 0) and end - at >= _LEAST_LINES:
            best, shape, most = end, growing.shape, total
    return _run(best, shape, first) if best > at else None


def _run(end: int, shape: _Shape, first: Sequence[str]) -> _Run | None:
    """The lines of this shape; None where they are equal, which is for others to say."""
    shared = set(shape.words)
    varies = [place for place in range(1 - _opens(first), shape.head, 2) if place not in shared]
    head = shape.head
    # What varies at the end is part of the rest.
    while shape.rest and varies and varies[-1] == head - 1:
        head = varies.pop()
    return _Run(end, varies, head, shape.rest) if varies or shape.rest else None


def _may_share(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether the pieces that stand at the same places in two lines are worth looking on for."""
    worth = 0
    for piece in compress(one[:_MOST_PIECES], map(eq, one, other)):
        worth += _worth(piece)
        if worth >= _LEAST_A_LINE:
            return True
    return False


class _Growing:
    """The shape of the lines taken so far; the first of them shows it."""

    def __init__(self, first: list[str]) -> None:
        self._first = first[:_MOST_PIECES]
        self._opens = _opens(first)
        self._between = self._first[self._opens :: 2]
        self._worth = list(map(_worth, self._first))
        self._blanks: dict[int, int] = {}  # by place of a word that varies: what the blank in front of it costs
        words = range(1 - self._opens, len(self._first), 2)
        self.shape = _Shape(len(self._first), words, len(first) > len(self._first), sum(self._worth))

    def take(self, pieces: list[str]) -> None:
        """Take one more line."""
        head, words, rest, _ = self.shape
        first, opens = self._first, self._opens
        common = head
        if _opens(pieces) != opens:
            common = 0
        elif pieces[opens:head:2] != self._between:
            common = self._common_structure(pieces[opens:head:2])
        common = min(common, len(pieces))
        if common < head:
            words = [place for place in words if place < common]
            self._between = first[opens:common:2]
            self._blanks = {place: cost for place, cost in self._blanks.items() if place < common}
        same = [place for place in words if pieces[place] == first[place]]
        if len(same) < len(words):
            for place in words:
                if pieces[place] != first[place]:
                    self._blanks[place] = _BLANK_BEFORE_NUMBER if first[place][0].isdigit() else _BLANK_BEFORE_WORD
        elif common == head and (rest or len(pieces) == head):
            return
        rest = rest or common < head or len(pieces) > common
        worth = self._worth
        shared = sum(worth[opens:common:2]) + sum(map(worth.__getitem__, same))
        saving = shared - sum(self._blanks.values()) - _BLANK_BEFORE_REST * rest
        self.shape = _Shape(common, same, rest, saving)

    def _common_structure(self, between: Sequence[str]) -> int:
        """Up to which piece what stands between the words is the same."""
        pairs = zip(self._between, between, strict=False)
        differs = next((count for count, (one, other) in enumerate(pairs) if one != other), None)
        return self.shape.head if differs is None else 2 * differs + self._opens


def _worth(piece: str) -> int:
    """About how many twentieths of a token `piece` takes within a line."""
    return _TOKEN // 5 if piece == " " else max(_TOKEN, len(piece) * _TOKEN // 4)

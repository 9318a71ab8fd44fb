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
from typing import NamedTuple

from compression_engine.statements import read_pattern, write_pattern

__all__ = ["fold", "unfold"]

_PIECES = re.compile(r"[\w./@+~%#-]+|[^\w./@+~%#-]+")
_GAP = "*"
_REST = "**"
_LEAST_LINES = 3
# How many lines to look ahead without finding a better end: keeps the work linear.
_PATIENCE = 40
# About what a pattern's brackets and count cost, in tokens, and what a run must save besides.
_PATTERN_COST = 8
_LEAST_SAVING = 8
# A shorter run of lines that are alike to their end is taken before a longer one if it saves so much more a line.
_RATE = 1.3
# Lines are looked at up to this many pieces: behind that, all is rest.
_MOST_PIECES = 80


class _Run(NamedTuple):
    """Lines up to `end` share the first's pieces up to `head`, apart from those that vary; a `rest` follows or not."""

    end: int
    head: int
    varies: tuple[int, ...]
    rest: bool


def fold(lines: Sequence[str], stays: Sequence[bool]) -> list[str] | None:
    """The lines with runs of like ones as a pattern and rows; None where no run is worth it.

    `stays` says for each line whether it is to be left as it is.
    """
    cuts = [
        [] if not line or _GAP in line or stay else _PIECES.findall(line)
        for line, stay in zip(lines, stays, strict=True)
    ]
    out: list[str] = []
    at = 0
    while at < len(lines):
        run = _longest_run(cuts, at)
        if run is None:
            out.append(lines[at])
            at += 1
            continue
        varies = set(run.varies)
        pattern = "".join(_GAP if place in varies else cuts[at][place] for place in range(run.head))
        out.append(write_pattern(run.end - at, pattern + (_REST if run.rest else "")))
        for pieces in cuts[at : run.end]:
            row = [pieces[place] for place in run.varies]
            out.append(" ".join([*row, "".join(pieces[run.head :])] if run.rest else row))
        at = run.end
    return out if len(out) > len(lines) else None


def unfold(lines: Sequence[str]) -> list[str]:
    """The lines that `fold` was given."""
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
        for row in lines[at : at + count]:
            words = row.split(" ", len(shared) - 2) if rest else row.split(" ")
            if len(words) == len(shared) - 1:
                out.append(shared[0] + "".join(word + after for word, after in zip(words, shared[1:], strict=True)))
            else:
                out.append(row)
        at += count
    return out


def _longest_run(cuts: Sequence[Sequence[str]], at: int) -> _Run | None:
    """The run of like lines from `at` that saves most, if one saves enough."""
    growing = _Growing(cuts[at])
    best = whole = at  # ends of the runs that save most; `whole`: of those without a rest
    most = most_whole = float(_LEAST_SAVING)
    for end in range(at + 2, len(cuts) + 1):
        growing.take(cuts[end - 1])
        if growing.saving <= 1 or (best > at and end - best > _PATIENCE):
            break
        total = (end - at - 1) * growing.saving - _PATTERN_COST
        if total > most and end - at >= _LEAST_LINES:
            best, most = end, total
            if not growing.rest:
                whole, most_whole = end, total
    if whole > at and most_whole / (whole - at) > _RATE * most / (best - at):
        best = whole
    if best == at:
        return None
    growing = _Growing(cuts[at])
    for pieces in cuts[at + 1 : best]:
        growing.take(pieces)
    run = growing.run(best)
    return run if run.varies or run.rest else None


class _Growing:
    """What the lines taken so far share with the first of them.

    `saving` is what this is worth in each further line, `rest` whether they go on differently behind it.
    """

    def __init__(self, first: Sequence[str]) -> None:
        self._first = first[:_MOST_PIECES]
        self._worth = [_tokens(piece) for piece in self._first]
        self._shared = [True] * len(self._first)
        self._head = len(self._first)
        self.rest = len(first) > self._head
        self.saving = sum(self._worth)

    def take(self, pieces: Sequence[str]) -> None:
        """Take one more line."""
        head = _common_structure(self._first, pieces, self._head)
        self.rest = self.rest or head < self._head or len(pieces) > head
        for place in range(self._head):
            if self._shared[place] and (place >= head or pieces[place] != self._first[place]):
                self._shared[place] = False
                self.saving -= self._worth[place]
        self._head = head

    def run(self, end: int) -> _Run:
        """The lines taken so far; what varies at the end is part of the rest."""
        head = self._head
        while self.rest and head and not self._shared[head - 1]:
            head -= 1
        return _Run(end, head, tuple(place for place in range(head) if not self._shared[place]), self.rest)


def _common_structure(first: Sequence[str], pieces: Sequence[str], head: int) -> int:
    """Up to which piece both have words at the same places and the same between them."""
    for place, (one, other) in enumerate(zip(first[:head], pieces, strict=False)):
        if one != other and not (_is_word(one) and _is_word(other)):
            return place
    return min(head, len(pieces))


def _is_word(piece: str) -> bool:
    return piece[0].isalnum() or piece[0] in "_./@+~%#-"


def _tokens(piece: str) -> float:
    """About how many tokens `piece` takes within a line."""
    return 0.2 if piece == " " else max(1.0, len(piece) / 4)

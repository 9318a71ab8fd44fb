"""What earlier results of the same conversation already show, and references to it.

Lines are known by a *place*, the file or command that they came from, and a number: the file's own line number in
numbered readings, else the position in the output. `Shown` holds for each the text that was shown last, so that "lines
120-180 as shown above" means the same to a reader who looks upwards and to `restore`.

A reference is only made where looking it up gives exactly the lines that it stands for. It names a file by as much of
the end of its path as no other file has that was shown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from compression_engine.content.lines import Item, Line
from compression_engine.statements import THE_EDIT, THE_RESULT, Reference, write_reference

__all__ = ["Place", "Shown", "edit_of"]

# Fewer lines than this are only referred to where they are long, and at the same place.
_LEAST_LINES = 3
_LONG_LINE = 80
# How many times as long as the reference, in characters, what it stands for must be: a character of a reference costs
# more tokens than one of code, and few lines are better seen where they belong.
_WORTH = 1.6
_WORTH_FEW = 2.0
_FEW = 4
_LONGEST_LABEL = 200
# Of how many places where the same lines stood the longest run is looked for.
_MOST_PLACES = 8
# What a line takes in memory besides its text: the string's head and its places in a sheet and in the runs. In bytes.
_LINE_OVERHEAD = 300


_SEPARATOR = re.compile(r"[/\\]")


class Place(NamedTuple):
    """Where lines come from. Numbered readings of a file and outputs that mention it are kept apart."""

    label: str
    numbered: bool


def edit_of(label: str) -> Place:
    """The text that the assistant last put into the file `label` with an edit, numbered from its own first line."""
    return Place(f"{label}\0{THE_EDIT}", numbered=False)


class Shown:
    """The lines that a conversation has shown so far. `size` is about how many bytes they take."""

    def __init__(self) -> None:
        self._sheets: dict[Place, dict[int, str]] = {}
        # The last places where these lines stood. Another line may have been shown there since: look again.
        self._runs: dict[tuple[str, ...], list[tuple[Place, int]]] = {}
        # The label that ends so; None where several do.
        self._tails: dict[str, str | None] = {}
        self.size = 0

    def add(self, place: Place, lines: Sequence[Line]) -> None:
        """Record `lines` as the latest that `place` has shown.

        A numbered reading shows a part of its file; any other output is the whole of what its command says now.
        """
        kept = [(number, text) for number, text in lines if number is not None]
        texts = [text for _, text in kept]
        if len(kept) < _LEAST_LINES and not any(len(text) >= _LONG_LINE for text in texts):
            return
        if place not in self._sheets:
            for tail in _tails(place.label):
                self._tails[tail] = place.label if self._tails.get(tail, place.label) == place.label else None
        sheet = self._sheets.setdefault(place, {})
        if not place.numbered:
            sheet.clear()
        sheet.update(kept)
        self.size += sum(map(len, texts)) + _LINE_OVERHEAD * len(kept)
        runs = zip(*(texts[ahead:] for ahead in range(_LEAST_LINES)), strict=False)
        for (number, _), (last, _), run in zip(kept, kept[_LEAST_LINES - 1 :], runs, strict=False):
            if last != number + _LEAST_LINES - 1:
                continue
            here = (place, number)
            places = self._runs.get(run)
            if places is None:
                self._runs[run] = [here]
                continue
            if here in places:
                places.remove(here)
            places.append(here)
            del places[:-_MOST_PLACES]

    def refer(self, place: Place, lines: Sequence[Line], stays: Sequence[bool]) -> list[Item]:
        """`lines` of a result of `place`, with references in place of runs that were shown before.

        `stays` says for each line whether it is to be shown in any case.
        """
        if not self._sheets:
            return list(lines)
        limits = _run_ends(lines, stays)
        out: list[Item] = []
        at = 0
        while at < len(lines):
            number = lines[at].number
            count = 0
            if number is not None and limits[at] > at:
                source, first, count = self._longest(place, number, lines, at, limits[at])
                reference = Reference(number, number + count - 1, first, self._name(source, place))
                if count and _is_worth(reference, lines[at : at + count]):
                    out.append(reference)
                    at += count
                    continue
            count = max(count, 1)
            out += lines[at : at + count]
            at += count
        return out

    def look_up(self, place: Place, reference: Reference) -> list[str] | None:
        """The lines that `reference`, in a result of `place`, stands for; None where they were not shown."""
        if reference.label is None:
            places = [place]
        elif reference.label == THE_EDIT:
            places = [edit_of(place.label)]
        else:
            places = self._places(reference.label) or self._places(self._tails.get(reference.label) or "")
        numbers = range(reference.source_first, reference.source_first + reference.last - reference.first + 1)
        for candidate in places:
            sheet = self._sheets.get(candidate, {})
            if len(numbers) <= len(sheet) and all(number in sheet for number in numbers):
                return [sheet[number] for number in numbers]
        return None

    def _longest(self, place: Place, number: int, lines: Sequence[Line], at: int, end: int) -> tuple[Place, int, int]:
        """Where lines like `lines[at:end]` were shown: the place, the number of the first, and how many."""
        here = self._common(place, number, lines, at, end)
        best = (place, number, here)
        if end - at < _LEAST_LINES:
            return best
        for found in reversed(self._runs.get(tuple(line.text for line in lines[at : at + _LEAST_LINES]), ())):
            if self._can_be_named(found[0], place):
                there = self._common(*found, lines, at, end)
                if there > best[2]:
                    best = (*found, there)
        return best

    def _common(self, place: Place, first: int, lines: Sequence[Line], at: int, end: int) -> int:
        """How many of `lines[at:end]` are what `place` shows from line `first` on."""
        sheet = self._sheets.get(place)
        if sheet is None:
            return 0
        for ahead in range(at, end):
            if sheet.get(first + ahead - at) != lines[ahead].text:
                return ahead - at
        return end - at

    def _can_be_named(self, source: Place, place: Place) -> bool:
        """Whether a reference in a result of `place` to `source` is understood as that."""
        if source in (place, edit_of(place.label)):
            return True
        if source.label in ("", THE_EDIT, THE_RESULT):
            return False
        if len(source.label) > _LONGEST_LABEL or not source.label.isprintable():
            return False
        return source.numbered or Place(source.label, numbered=True) not in self._sheets

    def _name(self, source: Place, place: Place) -> str | None:
        """What a reference in a result of `place` calls `source`."""
        if source == place:
            return None
        if source == edit_of(place.label):
            return THE_EDIT
        alone = (tail for tail in _tails(source.label) if self._tails[tail] and not self._places(tail))
        return next(alone, source.label)

    def _places(self, label: str) -> list[Place]:
        """The places of this label that have shown something."""
        return [place for place in (Place(label, numbered=True), Place(label, numbered=False)) if place in self._sheets]


def _tails(label: str) -> list[str]:
    """The ends of a path, from its last name on; none where the label is something else."""
    if " " in label or not label.isprintable():
        return []
    return [label[found.end() :] for found in reversed(list(_SEPARATOR.finditer(label))) if found.end() < len(label)]


def _is_worth(reference: Reference, lines: Sequence[Line]) -> bool:
    """Whether the lines are clearly longer than the reference to them."""
    times = _WORTH_FEW if len(lines) < _FEW else _WORTH
    return sum(len(line.text) for line in lines) >= times * len(write_reference(reference))


def _run_ends(lines: Sequence[Line], stays: Sequence[bool]) -> list[int]:
    """For each line the index behind the last that could be in one reference with it: numbers go on, nothing stays."""
    ends = list(range(1, len(lines) + 1))
    for at in range(len(lines) - 1, -1, -1):
        if stays[at] or lines[at].number is None:
            ends[at] = at
    goes_on = [
        not after_stays and before.number is not None and after.number == before.number + 1
        for (before, after), after_stays in zip(pairwise(lines), stays[1:], strict=True)
    ]
    for at in range(len(lines) - 2, -1, -1):
        if goes_on[at] and ends[at] > at:
            ends[at] = ends[at + 1]
    return ends

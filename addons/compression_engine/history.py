"""What earlier results of the same conversation already show, and references to it.

Lines are known by a *place*, the file or command that they came from, and a number: the file's own line number in
numbered readings, else the position in the output. `Shown` holds for each the text that was shown last, so that "lines
120-180 as shown above" means the same to a reader who looks upwards and to `restore`.

A reference is only made where looking it up gives exactly the lines that it stands for. It names a file by as much of
the end of its path as no other file has that was shown.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import chain, compress, count, repeat, zip_longest
from operator import is_not, ne
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


type _Run = tuple[str, ...]
type _Spot = tuple[str, bool, int]
"""A place and the number of a line: flat, so that the garbage collector need not look into each of very many."""


class Shown:
    """The lines that a conversation has shown so far. `size` is about how many bytes they take."""

    def __init__(self) -> None:
        self._sheets: dict[Place, dict[int, str]] = {}
        # The last places where these lines stood. Another line may have been shown there since: look again.
        # Most stood at one place only, which is then not in a list.
        self._runs: dict[_Run, _Spot | list[_Spot]] = {}
        # The label that ends so; None where several do.
        self._tails: dict[str, str | None] = {}
        self.size = 0

    def add(self, place: Place, lines: Sequence[Line]) -> None:
        """Record `lines` as the latest that `place` has shown.

        A numbered reading shows a part of its file; any other output is the whole of what its command says now.
        """
        numbers = [number for number, _ in lines if number is not None]
        texts = [text for number, text in lines if number is not None]
        if len(texts) < _LEAST_LINES and not any(len(text) >= _LONG_LINE for text in texts):
            return
        if place not in self._sheets:
            for tail in _tails(place.label):
                self._tails[tail] = place.label if self._tails.get(tail, place.label) == place.label else None
        sheet = self._sheets.setdefault(place, {})
        if not place.numbered:
            sheet.clear()
        sheet.update(zip(numbers, texts, strict=True))
        self.size += sum(map(len, texts)) + _LINE_OVERHEAD * len(texts)
        lasts = numbers[_LEAST_LINES - 1 :]
        goes_on = [last == number + _LEAST_LINES - 1 for number, last in zip(numbers, lasts, strict=False)]
        runs = list(compress(_runs(texts), goes_on))
        spots = list(compress(zip(repeat(place.label), repeat(place.numbered), numbers, strict=False), goes_on))
        known = map(self._runs.setdefault, runs, spots)
        for run, spot in compress(zip(runs, spots, strict=True), list(map(is_not, known, spots))):
            self._add_spot(run, spot)

    def _add_spot(self, run: _Run, spot: _Spot) -> None:
        """Record one more place of a run that is known."""
        spots = self._runs[run]
        if isinstance(spots, tuple):
            if spots != spot:
                self._runs[run] = [spots, spot]
            return
        if spot in spots:
            spots.remove(spot)
        spots.append(spot)
        del spots[:-_MOST_PLACES]

    def refer(self, place: Place, lines: Sequence[Line], stays: Sequence[bool]) -> list[Item]:
        """`lines` of a result of `place`, with references in place of runs that were shown before.

        `stays` says for each line whether it is to be shown in any case.
        """
        if not self._sheets:
            return list(lines)
        numbers = [number for number, _ in lines]
        texts = [text for _, text in lines]
        spots = list(map(self._runs.get, _runs(texts)))
        breaks = _breaks(numbers, stays)
        out: list[Item] = []
        done = seen = 0
        for at in self._known(place, numbers, texts, spots):
            number = numbers[at]
            if at < seen or number is None or stays[at]:
                continue
            following = bisect_right(breaks, at)
            end = breaks[following] if following < len(breaks) else len(lines)
            candidates = [(*place, number)]
            if end - at >= _LEAST_LINES and (known := spots[at]) is not None:
                candidates += [known] if isinstance(known, tuple) else reversed(known)
            (label, numbered, first), length = self._longest(place, candidates, texts, at, end)
            seen = at + length
            if length:
                reference = Reference(number, number + length - 1, first)
                # A name takes time to find, and makes it longer.
                if _is_worth(reference, texts[at:seen]):
                    reference = reference._replace(label=self._name(Place(label, numbered), place))
                    if _is_worth(reference, texts[at:seen]):
                        out += lines[done:at]
                        out.append(reference)
                        done = seen
        out += lines[done:]
        return out

    def _known(
        self, place: Place, numbers: Sequence[int | None], texts: Sequence[str], spots: Iterable[object]
    ) -> Iterable[int]:
        """Where a line stands that `place` shows under the same number, or a run begins that has `spots`."""
        sheet = self._sheets.get(place)
        if sheet is None:
            return compress(count(), spots)
        same = [number is not None and sheet.get(number) == text for number, text in zip(numbers, texts, strict=True)]
        return [at for at, (here, there) in enumerate(zip_longest(same, spots)) if here or there]

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
            if len(numbers) <= len(sheet):
                with suppress(KeyError):
                    return list(map(sheet.__getitem__, numbers))
        return None

    def _longest(
        self, place: Place, spots: Sequence[_Spot], texts: Sequence[str], at: int, end: int
    ) -> tuple[_Spot, int]:
        """Which of `spots` shows most of `texts[at:end]`, and how many lines of them."""
        best, most = spots[0], 0
        for spot in spots:
            label, numbered, first = spot
            source = Place(label, numbered)
            if self._can_be_named(source, place):
                length = self._common(source, first, texts, at, end)
                if length > most:
                    best, most = spot, length
        return best, most

    def _common(self, place: Place, first: int, texts: Sequence[str], at: int, end: int) -> int:
        """How many of `texts[at:end]` are what `place` shows from line `first` on."""
        sheet = self._sheets.get(place)
        if sheet is None:
            return 0
        # One by one, as a copy of what may come would take time each time.
        here = map(texts.__getitem__, range(at, end))
        differs = map(ne, here, map(sheet.get, count(first)))
        return next(compress(count(), differs), end - at)

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


def _is_worth(reference: Reference, texts: Sequence[str]) -> bool:
    """Whether the lines are clearly longer than the reference to them."""
    times = _WORTH_FEW if len(texts) < _FEW else _WORTH
    return sum(map(len, texts)) >= times * len(write_reference(reference))


def _runs(texts: Sequence[str]) -> Iterable[_Run]:
    """Each line with those behind it."""
    return zip(*(texts[ahead:] for ahead in range(_LEAST_LINES)), strict=False)


def _breaks(numbers: Sequence[int | None], stays: Sequence[bool]) -> list[int]:
    """The lines that cannot be in one reference with the line before them: numbers do not go on, or the line stays."""
    before: Iterable[int | None] = chain((None,), numbers)
    return [
        at
        for at, (last, number, stay) in enumerate(zip(before, numbers, stays, strict=False))
        if stay or last is None or number != last + 1
    ]

"""Runs of lines that the same output has shown before: frames of a stack trace, parts of a report or a log.

A run stays where it stands first. Where it comes again, a reference says which lines it is. Only lines that stand
there themselves are referred to, so that nobody has to follow one reference to the next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from compression_engine.content.lines import Item, Line
from compression_engine.statements import THE_RESULT, Reference, write_reference

__all__ = ["look_up", "refer"]

_LEAST_LINES = 3
# How many times as long as the reference, in characters, the lines must be.
_WORTH = 2.0
# Of how many places where the same lines stand the longest run is looked for.
_MOST_PLACES = 8


def refer(items: Sequence[Item], stays: Sequence[bool]) -> list[Item]:
    """`items` with references in place of runs that stand further up among them.

    `stays` says for each line, those behind references included, whether it is to be shown in any case.
    """
    texts = [item.text if isinstance(item, Line) else None for item in items]
    runs = list(zip(*(texts[ahead:] for ahead in range(_LEAST_LINES)), strict=False))
    times = Counter(runs)
    if len(times) == len(runs):
        return list(items)
    first = items[0][0] or 0
    stays = [stays[item[0] - first] if item[0] is not None else True for item in items]
    again = [at for at, run in enumerate(runs) if times[run] > 1 and None not in run]
    places: dict[tuple[str | None, ...], list[int]] = {}
    out: list[Item] = []
    done = skipped = known = 0
    for at in again:
        if at < skipped:
            continue
        while again[known] <= at - _LEAST_LINES:
            start = again[known]
            here = places.setdefault(runs[start], [])
            if len(here) < _MOST_PLACES and None not in texts[start : start + _LEAST_LINES]:
                here.append(start)
            known += 1
        # How often the same line stands in a row is said elsewhere.
        if len(set(runs[at])) == 1:
            continue
        found = [(_common(texts, stays, place, at), -place) for place in places.get(runs[at], ())]
        count, place = max(found, default=(0, 0))
        if count < _LEAST_LINES:
            continue
        skipped = at + count
        number, source = items[at][0] or 0, items[-place][0] or 0
        reference = Reference(number, number + count - 1, source, THE_RESULT)
        if sum(len(text or "") for text in texts[at:skipped]) >= _WORTH * len(write_reference(reference)):
            out += items[done:at]
            out.append(reference)
            texts[at:skipped] = [None] * count
            done = skipped
    return [*out, *items[done:]]


def look_up(reference: Reference, lines: Sequence[str], first: int) -> list[str] | None:
    """What the reference stands for, which follows on `lines`, numbered from `first`; None where it is not in these."""
    start = reference.source_first - first
    end = start + reference.last - reference.first + 1
    return [*lines[start:end]] if start >= 0 and end <= len(lines) else None


def _common(texts: Sequence[str | None], stays: Sequence[bool], place: int, at: int) -> int:
    """How many lines from `at` on that may be left out are those from `place` on, all of them in front of `at`."""
    count = 0
    for here, there in zip(range(at, len(texts)), range(place, at), strict=False):
        if stays[here] or texts[here] is None or texts[here] != texts[there]:
            break
        count += 1
    return count

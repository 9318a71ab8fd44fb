"""Lines that stand several times in a row."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import eq

from compression_engine.content.room import Room
from compression_engine.statements import read_repeat, write_repeat

__all__ = ["fold", "unfold"]

# A statement is about eight tokens; what it stands for should be clearly more. In characters.
_WORTH_STATING = 60


def fold(lines: Sequence[str], stays: Sequence[bool]) -> list[str] | None:
    """Every run as its line and one statement; None where no run is worth it.

    `stays` says for each line whether it is to be left as it is.
    """
    if not any(map(eq, lines, lines[1:])):
        return None
    out: list[str] = []
    folded = False
    for (line, stay), run in groupby(zip(lines, stays, strict=True)):
        copies = sum(1 for _ in run)
        if copies > 1 and (copies - 1) * (len(line) + 1) >= _WORTH_STATING and not stay:
            out += (line, write_repeat(copies - 1))
            folded = True
        else:
            out += [line] * copies
    return out if folded else None


def unfold(lines: Sequence[str], room: Room) -> list[str]:
    """What `fold` was given. Raises TooLongError."""
    out: list[str] = []
    for line in lines:
        times = read_repeat(line)
        if times is None or not out:
            out.append(line)
        else:
            room.take(len(out[-1]), times)
            out += [out[-1]] * times
    return out

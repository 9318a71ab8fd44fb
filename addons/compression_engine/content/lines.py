"""The lines of a tool result as the content modules hand them around."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import count
from typing import NamedTuple

from compression_engine.statements import Reference

__all__ = ["Item", "Line", "number_lines", "split_positions"]


class Line(NamedTuple):
    """One line of a result.

    `number` is how a reference names it: the file's line number in a numbered reading, else the position in the result,
    counted from 1. None for a line that nothing can refer to (what stands before and after the numbered lines).
    """

    number: int | None
    text: str


type Item = Line | Reference
"""A line that is shown, or the reference that stands for lines which are not."""


# `Line._make` without the call of a Python function for each.
_line: Callable[[tuple[int, str]], Line] = partial(tuple.__new__, Line)


def number_lines(texts: Iterable[str], first: int) -> list[Line]:
    """The lines with these texts, numbered from `first`."""
    return list(map(_line, zip(count(first), texts)))


def split_positions(text: str, first: int) -> list[Line]:
    """The lines of `text`, numbered by position from `first`."""
    return number_lines(text.split("\n"), first)

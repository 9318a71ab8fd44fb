"""Plots as inline SVG: no script, no style of their own, colours from the page's classes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Bar", "Pair", "bars", "columns"]

_WIDTH = 760
_HEIGHT = 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 8, 12, 28
_ROW = 26
_LABEL = 190
_VALUE = 84
_LONGEST = 26  # characters of a label
_DATES = 6  # that stand below a plot, at most
_LINES = 4  # that are drawn across it, at most


@dataclass(frozen=True, slots=True)
class Pair:
    """Two values side by side at one place of the axis."""

    label: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One value with a name."""

    label: str
    value: float


def columns(title: str, description: str, pairs: Sequence[Pair], shown: Callable[[float], str]) -> str:
    """Two columns for each of `pairs`. `shown` writes a value for a person."""
    most = max((value for pair in pairs for value in (pair.before, pair.after)), default=0.0)
    return _svg("columns", title, description, _HEIGHT, _columns(pairs, most, shown))


def bars(title: str, description: str, rows: Sequence[Bar], shown: Callable[[float], str]) -> str:
    """A bar to the right for each of `rows`, to the left where a value is negative."""
    return _svg("bars", title, description, max(1, len(rows)) * _ROW + 4, _bars(rows, shown))


def _svg(name: str, title: str, description: str, height: int, parts: Iterable[str]) -> str:
    # What names an element may hold no blanks.
    slug = f"{name}-{re.sub('[^a-z0-9]+', '-', title.lower())}"
    return "\n".join(
        [
            f'<svg class="plot" viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="{slug}-t {slug}-d">',
            f'<title id="{slug}-t">{escape(title)}</title>',
            f'<desc id="{slug}-d">{escape(description)}</desc>',
            *parts,
            "</svg>",
        ]
    )


def _step(most: float) -> float:
    """A round number that stands between two lines across a plot of values up to `most`."""
    if most <= 0:
        return 1.0
    least = most / _LINES
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10, 20) if power * factor >= least)


def _columns(pairs: Sequence[Pair], most: float, shown: Callable[[float], str]) -> Iterator[str]:
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    step = _step(most)
    lines = max(1, math.ceil(most / step))
    top = step * lines

    def y(value: float) -> float:
        return _TOP + height * (1 - max(0.0, value) / top)

    for line in range(lines + 1):
        value = step * line
        yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        yield _text(_LEFT - 8, y(value) + 4, shown(value), "end")
    slot = width / max(1, len(pairs))
    column = min(28.0, slot * 0.4)
    every = -(-len(pairs) // _DATES) or 1
    for at, pair in enumerate(pairs):
        middle = _LEFT + slot * (at + 0.5)
        yield "<g>"
        yield f"<title>{escape(f'{pair.label}: {shown(pair.before)} without, {shown(pair.after)} with')}</title>"
        yield _rect("before", middle - column, y(pair.before), column, _TOP + height - y(pair.before))
        yield _rect("after", middle, y(pair.after), column, _TOP + height - y(pair.after))
        yield "</g>"
        if at % every == 0:
            yield _text(middle, _HEIGHT - 8, pair.label, "middle")


def _bars(rows: Sequence[Bar], shown: Callable[[float], str]) -> Iterator[str]:
    low = min(0.0, *(row.value for row in rows)) if rows else 0.0
    high = max(0.0, *(row.value for row in rows)) if rows else 0.0
    span = high - low or 1.0
    room = _WIDTH - _LABEL - _VALUE
    zero = _LABEL + room * -low / span
    for at, row in enumerate(rows):
        y = at * _ROW + 2
        length = room * abs(row.value) / span
        start = zero if row.value >= 0 else zero - length
        yield "<g>"
        yield f"<title>{escape(f'{row.label}: {shown(row.value)}')}</title>"
        yield _text(_LABEL - 8, y + 17, _short(row.label), "end")
        yield _rect("after" if row.value >= 0 else "loss", start, y + 3, length, _ROW - 8)
        yield _text(max(zero, start + length) + 6, y + 17, shown(row.value), "start")
        yield "</g>"
    yield f'<line class="axis" x1="{zero:.1f}" x2="{zero:.1f}" y1="0" y2="{max(1, len(rows)) * _ROW + 4}"/>'


def _rect(kind: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"

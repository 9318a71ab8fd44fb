"""What requests cost over time, as bars in SVG: below what was paid, above it what was saved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from local_site.live import MINUTE, Point

__all__ = ["Chart", "chart", "svg"]

# Minutes that the chart goes back, and that a bar stands for: the first that shows all there is, else the last.
_SPANS = ((60, 1), (6 * 60, 5), (24 * 60, 20))

_WIDTH, _HEIGHT = 1000.0, 200.0
_GAP = 0.2  # of a bar's place


@dataclass(frozen=True, slots=True)
class Chart:
    """One bar for each stretch of time, oldest first, those without a request too. `top` is where the scale ends."""

    bars: tuple[Point, ...]
    minutes: int
    top: float

    @property
    def is_empty(self) -> bool:
        """Whether nothing was billed in all that time."""
        return not any(bar.paid or bar.saved for bar in self.bars)


def chart(history: Sequence[Point], now: float) -> Chart:
    """Of `history`, oldest first; `now` is in seconds since 1970."""
    back = (now - history[0].at) / MINUTE if history else 0.0
    span, minutes = next((one for one in _SPANS if back < one[0]), _SPANS[-1])
    width = minutes * MINUTE
    end = (int(now) // width + 1) * width
    begin = end - span * MINUTE
    bars = {at: Point(at) for at in range(begin, end, width)}
    for point in history:
        at = point.at // width * width
        if at in bars:
            bars[at] = bars[at].plus(point)
    return Chart(tuple(bars.values()), minutes, _round_up(max(_height(bar) for bar in bars.values())))


def svg(shown: Chart, labelled_by: str) -> str:
    """The bars, without text, so that they can be stretched. `labelled_by` are ids of what says the same in words."""
    place = _WIDTH / len(shown.bars)
    width = place * (1 - _GAP)
    head = (
        f'<svg class="bars" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" preserveAspectRatio="none" role="img" '
        f'aria-labelledby="{labelled_by}">'
    )
    lines = (0.5, _HEIGHT / 2, _HEIGHT - 0.5)
    parts = [head, *(f'<line class="grid" x1="0" x2="{_WIDTH:g}" y1="{y:g}" y2="{y:g}"/>' for y in lines)]
    for index, bar in enumerate(shown.bars):
        x = index * place + (place - width) / 2
        paid = max(0.0, bar.paid) / shown.top * _HEIGHT
        saved = max(0.0, bar.saved) / shown.top * _HEIGHT
        parts += _rectangle("paid", x, _HEIGHT - paid, width, paid)
        parts += _rectangle("saved", x, _HEIGHT - paid - saved, width, saved)
    return "".join([*parts, "</svg>"])


def _rectangle(kind: str, x: float, y: float, width: float, height: float) -> list[str]:
    if not height:
        return []
    return [f'<rect class="{kind}" x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}"/>']


def _height(bar: Point) -> float:
    return max(0.0, bar.paid) + max(0.0, bar.saved)


def _round_up(value: float) -> float:
    """The next round figure; 1 at least."""
    if value <= 1:
        return 1.0
    step = 10.0 ** math.floor(math.log10(value))
    return next(factor * step for factor in (1, 2, 3, 4, 6, 8, 10, 20) if factor * step >= value)

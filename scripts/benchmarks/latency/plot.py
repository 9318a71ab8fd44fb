"""The times by size, as SVG: both axes logarithmic, the median as a line and up to the 99th percentile as a band."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmarks.latency.measures import Sample

__all__ = ["plot"]

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _GAP = 300, 260, 56, 36, 24
_COLOURS = {"bare": "#8a8f98", "idle": "#c08b2f", "ours": "#2f6fc0"}
_KINDS = ("warm", "first seen", "resumed")


def plot(samples: Sequence[Sample]) -> str:
    """One panel for each kind of request."""
    kinds = [kind for kind in _KINDS if any(sample.kind == kind for sample in samples)]
    timed = [sample for sample in samples if sample.kind in kinds]
    if not timed:
        return '<svg xmlns="http://www.w3.org/2000/svg"/>\n'
    least = min(sample.quantile(0.5) for sample in timed)
    most = max(sample.quantile(0.99) for sample in timed)
    decades = (math.floor(math.log10(least * 1000)), math.ceil(math.log10(most * 1000)))
    width = len(kinds) * (_WIDTH + _GAP) + _LEFT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT + _BOTTOM + 44}" font-size="11">',
        "<style>text{font-family:sans-serif}</style>",
        f'<rect width="{width}" height="{_HEIGHT + _BOTTOM + 44}" fill="#fff"/>',
    ]
    for number, kind in enumerate(kinds):
        parts += _panel(kind, [one for one in timed if one.kind == kind], _LEFT + number * (_WIDTH + _GAP), decades)
    for number, (name, colour) in enumerate(_COLOURS.items()):
        x = _LEFT + number * 90
        parts.append(f'<rect x="{x}" y="{_HEIGHT + _BOTTOM + 24}" width="12" height="3" fill="{colour}"/>')
        parts.append(f'<text x="{x + 18}" y="{_HEIGHT + _BOTTOM + 29}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _panel(kind: str, samples: Sequence[Sample], left: float, decades: tuple[int, int]) -> list[str]:
    sizes = sorted({sample.size for sample in samples})
    first, last = math.log10(min(sizes)), math.log10(max(sizes))

    def x(size: int) -> float:
        return left + (_WIDTH - 40) * (math.log10(size) - first) / ((last - first) or 1)

    def y(seconds: float) -> float:
        share = (math.log10(seconds * 1000) - decades[0]) / (decades[1] - decades[0])
        return 20 + _HEIGHT * (1 - share)

    parts = [f'<text x="{left}" y="12" font-weight="bold">{kind}</text>']
    for decade in range(decades[0], decades[1] + 1):
        at = y(10**decade / 1000)
        parts.append(f'<line x1="{left}" x2="{left + _WIDTH - 40}" y1="{at:.1f}" y2="{at:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">{10**decade:g} ms</text>')
    for size in sizes:
        label = f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"  # noqa: PLR2004 - a million
        parts.append(f'<text x="{x(size):.1f}" y="{_HEIGHT + 38}" text-anchor="middle">{label}</text>')
    for name, colour in _COLOURS.items():
        mine = sorted((one for one in samples if one.proxy == name), key=lambda one: one.size)
        line = [f"{x(one.size):.1f},{y(one.quantile(0.5)):.1f}" for one in mine]
        upper = [f"{x(one.size):.1f},{y(one.quantile(0.99)):.1f}" for one in reversed(mine)]
        parts.append(f'<polygon points="{" ".join(line + upper)}" fill="{colour}" fill-opacity="0.12"/>')
        parts.append(f'<polyline points="{" ".join(line)}" fill="none" stroke="{colour}" stroke-width="2"/>')
    return parts

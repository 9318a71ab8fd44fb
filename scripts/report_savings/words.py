"""Numbers and names of the report in the words of a person."""

from __future__ import annotations

import math
from collections.abc import Mapping

__all__ = ["ENDINGS", "NOTHING", "amount", "count", "duration", "ending", "money", "ms", "percent", "visible"]

NOTHING = "-"
"""What stands where there is no figure."""

ENDINGS: Mapping[str, str] = {
    "complete": "answered to the end",
    "refused": "refused by the service (status 400 or above)",
    "cut": "the answer broke off on the service's side",
    "client-left": "the client hung up",
    "unreached": "the service could not be reached",
}
"""How a request ended, by `Entry.ending`."""

_STEPS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_PAUSES = ((3600.0, "h"), (60.0, "min"))
_MOST_WHOLE = 10_000  # numbers below it are written out


def amount(value: float) -> str:
    """Units or tokens, with three or four figures that count: 950, 12.3k, 4.56M."""
    size = abs(value)
    for step, letter in _STEPS:
        if size >= step and size >= _MOST_WHOLE:
            part = value / step
            return f"{part:,.{_decimals(part)}f}{letter}"
    return f"{round(value):,}"  # never "-0"


def _decimals(value: float) -> int:
    size = abs(value)
    return 2 if size < 10 else 1 if size < 100 else 0  # noqa: PLR2004 - three figures


def count(number: int, noun: str = "") -> str:
    """A number of things, written out."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}" if noun else f"{number:,}"


def percent(share: float | None) -> str:
    """A share of 1."""
    if share is None:
        return NOTHING
    return f"{_not_minus_nothing(share * 100, 1):,.1f}%"


def _not_minus_nothing(value: float, decimals: int) -> float:
    """`value` rounded, and never -0.0."""
    return round(value, decimals) + 0.0


def money(value: float, currency: str, decimals: int | None = None) -> str:
    """An amount in a currency; with two decimals and more for small amounts, if it is not said how many."""
    size = abs(value)
    if decimals is None:
        decimals = 2 if size >= 1 or not size else min(6, 1 - math.floor(math.log10(size)))
    return f"{_not_minus_nothing(value, decimals):,.{decimals}f} {currency}"


def ms(value: float | None) -> str:
    """Milliseconds."""
    return NOTHING if value is None else f"{value:,.{1 if value < 100 else 0}f} ms"  # noqa: PLR2004


def duration(seconds: float) -> str:
    """A pause: 45 s, 5.5 min, 2 h."""
    value, unit = next(((seconds / size, name) for size, name in _PAUSES if seconds >= size), (seconds, "s"))
    return f"{value:.1f}".removesuffix(".0") + f" {unit}"


def ending(code: str) -> str:
    """How a request ended; `code` itself if that is not known."""
    return ENDINGS.get(code, code)


def visible(text: str) -> str:
    """`text` without what could steer a terminal."""
    return "".join(character if character.isprintable() else "·" for character in text)

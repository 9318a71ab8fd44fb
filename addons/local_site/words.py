"""What the site says in the words of a person."""

from __future__ import annotations

from collections.abc import Mapping

from billing.accounts import Account
from billing.entry import Ending
from outcomes import words

__all__ = ["CAUSES", "NOTHING", "amount", "money", "percent", "things", "what_was_done"]

NOTHING = "–"  # noqa: RUF001 - a dash, as tables have it
"""What stands where there is no figure."""

CAUSES: Mapping[str, str] = {
    "hit": "Read as expected",
    "expired": "Missed: the pause was longer than the service keeps a cache",
    "client": "Missed: the client changed or took back what it had sent",
    "ours": "Missed: old results were set aside although the cache was warm",
    "unknown": "Missed: the service had less than it should",
}
"""How requests found the prompt cache, by `billing.cache_health.Cause`."""

_ENDINGS: Mapping[str, str] = {
    Ending.REFUSED: "the service refused it",
    Ending.CUT: "the answer broke off",
    Ending.CLIENT_LEFT: "the client hung up",
    Ending.UNREACHED: "the service could not be reached",
}

_STEPS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_WRITTEN_OUT = 10_000


def amount(value: float) -> str:
    """A number with three or four figures that count: 950, 12.3 k, 4.56 M."""
    size = abs(value)
    if size < _WRITTEN_OUT:
        return f"{round(value):,}"
    step, letter = next((step, letter) for step, letter in _STEPS if size >= step)
    part = value / step
    decimals = 2 if abs(part) < 10 else 1 if abs(part) < 100 else 0  # noqa: PLR2004 - three figures
    return f"{part:,.{decimals}f} {letter}"


def money(value: float, currency: str) -> str:
    """An amount, with more decimals where it is small."""
    decimals = 2 if abs(value) >= 1 or not value else 4
    return f"{value:,.{decimals}f} {currency}"


def percent(share: float) -> str:
    """A share of 1."""
    return f"{share * 100:.1f} %"


def things(number: int, noun: str) -> str:
    """A number of things."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def what_was_done(account: Account) -> str:
    """What became of one request."""
    entry = account.entry
    parts = [words(entry.outcome) or NOTHING]
    if entry.set_aside:
        parts.append(f"{things(entry.set_aside, 'old result')} set aside")
    if entry.recalled:
        parts.append(f"{things(entry.recalled, 'result')} brought back")
    if ending := _ENDINGS.get(entry.ending):
        parts.append(f"{ending} ({entry.status})" if entry.ending is Ending.REFUSED else ending)
    if account.health is not None and account.health.lost:
        cause = CAUSES.get(account.health.cause, account.health.cause).removeprefix("Missed: ")
        parts.append(f"cache missed: {cause}")
    return "; ".join(parts)

"""Sessions that were left alone beside those that were not: whether cost or quality moved.

`foundry_holdout` leaves a share of sessions untouched, chosen by hash, so that the two arms differ by chance and by us.
What is compared is measured in both: nothing here is estimated from what was removed.

A session counts if it began since the first one was left alone, if it was in one arm from its first request to its
last, and if the mode was never observe or off: else the arms would differ by the time or by what was done, too.

Intervals come from drawing sessions anew. A few sessions cost much and most cost little, so that an interval of 95 %
holds the truth somewhat less often than that: in 88 to 92 of 100 made-up trials with `LEAST_SESSIONS` in the smaller
arm, in 82 to 88 with 20.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from billing.accounts import Account
from billing.entry import Entry
from billing.prices import Prices

__all__ = ["LEAST_SESSIONS", "Arm", "Comparison", "Evidence", "Interval", "compare"]

LEAST_SESSIONS = 50
"""With fewer sessions in one arm, nothing can be said."""

_REWRITING = frozenset({"balanced", "lossless"})
_RESAMPLES = 2_000
_MOST_DRAWN = 400  # more sessions than these are drawn in bunches, which spreads the same and takes no longer
_SEED = 1  # the same ledger gives the same interval
_OUTER = 0.025  # on each side of an interval of 95 %


@dataclass(slots=True)
class _Session:
    began: float
    holdout: bool
    is_mixed: bool = False
    turns: int = 0
    units: float = 0.0
    output: int = 0
    last: dict[str, Entry] = field(default_factory=dict)  # by conversation

    def counted(self, what: Callable[[Entry], int]) -> int:
        """The sum over its conversations, each of which counts in its last request what it has in all."""
        return sum(what(entry) for entry in self.last.values())


@dataclass(frozen=True, slots=True)
class Arm:
    """How many sessions and requests there are."""

    sessions: int
    turns: int


@dataclass(frozen=True, slots=True)
class Interval:
    """The ends of a 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """One measure: what it is on the average in each arm, and their ratio, None where that cannot be told."""

    name: str
    treated: float
    holdout: float
    ratio: float | None
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """`comparisons` are empty where one arm has fewer than `LEAST_SESSIONS`."""

    treated: Arm
    holdout: Arm
    comparisons: tuple[Comparison, ...]

    @property
    def is_enough(self) -> bool:
        """Whether anything can be said."""
        return bool(self.comparisons)


type _Measure = Callable[[_Session], tuple[float, float]]

# What is compared: how much, and of how much. Averages are of the sums, so that long sessions count as such.
_MEASURES: dict[str, _Measure] = {
    "input units a request": lambda one: (one.units, one.turns),
    "input units a session": lambda one: (one.units, 1),
    "requests a session": lambda one: (one.turns, 1),
    "output tokens a request": lambda one: (one.output, one.turns),
    "files read again, of all results": lambda one: (
        one.counted(lambda entry: entry.rereads),
        one.counted(lambda entry: entry.results),
    ),
    "failed results, of all": lambda one: (
        one.counted(lambda entry: entry.errors),
        one.counted(lambda entry: entry.results),
    ),
}


def compare(accounts: Iterable[Account], prices: Prices | None = None) -> Evidence | None:
    """The two arms; None where no session was left alone. `accounts` oldest first."""
    prices = prices or Prices.load()
    sessions: dict[str, _Session] = {}
    roots: dict[str, str] = {}  # by conversation: the session, or the conversation from which all others forked
    for account in accounts:
        entry, usage = account.entry, account.entry.usage
        if not entry.conversation or usage is None:
            continue
        root = entry.session or roots.get(entry.conversation) or roots.get(entry.follows) or entry.conversation
        roots[entry.conversation] = root
        session = sessions.setdefault(root, _Session(entry.at, entry.holdout))
        session.is_mixed |= entry.holdout is not session.holdout or entry.mode not in _REWRITING
        session.turns += 1
        session.units += prices.ratios(entry.deployment, entry.model, entry.endpoint, usage.input).input_units(usage)
        session.output += usage.output
        session.last[entry.conversation] = entry
    whole = [one for one in sessions.values() if not one.is_mixed]
    holdout = [one for one in whole if one.holdout]
    if not holdout:
        return None
    since = min(one.began for one in holdout)
    treated = [one for one in whole if not one.holdout and one.began >= since]
    enough = min(len(treated), len(holdout)) >= LEAST_SESSIONS
    comparisons = [_comparison(name, measure, treated, holdout) for name, measure in _MEASURES.items() if enough]
    return Evidence(_arm(treated), _arm(holdout), tuple(comparisons))


def _arm(sessions: Sequence[_Session]) -> Arm:
    return Arm(len(sessions), sum(one.turns for one in sessions))


def _comparison(name: str, measure: _Measure, treated: Sequence[_Session], holdout: Sequence[_Session]) -> Comparison:
    pairs = [_bunched([measure(one) for one in arm]) for arm in (treated, holdout)]
    averages = [_average(arm) for arm in pairs]
    draw = random.Random(_SEED)  # noqa: S311 - nothing is to be secret
    ratios = []
    for _ in range(_RESAMPLES):
        one, other = (_average(draw.choices(arm, k=len(arm))) for arm in pairs)
        if other:
            ratios.append(one / other)
    ratios.sort()
    is_told = bool(averages[1]) and len(ratios) == _RESAMPLES
    interval = (
        Interval(ratios[int(_OUTER * _RESAMPLES)], ratios[int((1 - _OUTER) * _RESAMPLES) - 1]) if is_told else None
    )
    return Comparison(name, averages[0], averages[1], averages[0] / averages[1] if averages[1] else None, interval)


def _bunched(pairs: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    if len(pairs) <= _MOST_DRAWN:
        return pairs
    bunches = [pairs[first::_MOST_DRAWN] for first in range(_MOST_DRAWN)]
    return [(sum(one for one, _ in bunch), sum(of for _, of in bunch)) for bunch in bunches]


def _average(pairs: Sequence[tuple[float, float]]) -> float:
    of = sum(pair[1] for pair in pairs)
    return sum(pair[0] for pair in pairs) / of if of else 0.0

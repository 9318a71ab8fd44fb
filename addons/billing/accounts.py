"""What each request cost and would have cost, worked out from the entries of the ledger in the order of their time.

*Paid* is measured: the service said it. *Without* is an estimate: what the same request would have cost, had we removed
nothing. It rests on the factor from our tokens to the service's (see `billing.calibration`) and on this rule: what was
removed already from the request before, and stands in a prefix that the service read from its cache, would have been
read as well; the rest would have been new, at the price that new tokens had here.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from billing.cache_health import Health, health_of
from billing.calibration import Calibration
from billing.entry import Ending, Entry
from billing.prices import Prices, Ratios
from billing.usage import Usage

__all__ = ["Account", "Accounts", "Last"]

_REWRITTEN, _OBSERVED = "rewritten", "observed"
_MOST_CONVERSATIONS = 10_000


@dataclass(frozen=True, slots=True)
class Account:
    """One request. Costs are in *units*, the price of one uncached input token, output included.

    `paid` is None where the answer told of no usage; `without`, an estimate, is None then as well. `removed` are tokens
    as the service counts them, an estimate too; in the mode observe they are `observed` instead. `health` is None where
    nothing was to be expected of the cache.
    """

    entry: Entry
    removed: float = 0.0
    observed: float = 0.0
    paid: float | None = None
    without: float | None = None
    health: Health | None = None

    @property
    def saved(self) -> float:
        """Units; below 0 where we made the request dearer."""
        return 0.0 if self.paid is None or self.without is None else self.without - self.paid


@dataclass(frozen=True, slots=True)
class Last:
    """The last request of a conversation that told its usage; the first one left `first_cached` tokens in the cache."""

    entry: Entry
    usage: Usage
    first_cached: int
    removed: float
    asks_hour: bool

    @property
    def cached(self) -> int:
        """How much the service holds of it, while it does."""
        return self.usage.cache_read + self.usage.cache_write


class Accounts:
    """Goes through entries, oldest first, and learns the factor of each deployment on the way."""

    def __init__(self, calibration: Calibration | None = None, prices: Prices | None = None) -> None:
        self.calibration = calibration or Calibration()
        self._prices = prices or Prices.load()
        self._last: OrderedDict[str, Last] = OrderedDict()  # by conversation

    def add(self, entry: Entry) -> Account:
        """What the request of `entry` cost."""
        before = self._last.get(entry.follows) if entry.follows else None
        usage = entry.usage
        if usage is None:
            return Account(entry)
        if before is not None:
            self.calibration.learn(before.entry, entry)
        factor = self.calibration.factor(entry.deployment, entry.model).value
        tokens = factor * (entry.tokens_before - entry.tokens_after)
        removed = tokens if entry.outcome == _REWRITTEN else 0.0
        ratios = self._prices.ratios(entry.deployment, entry.model, entry.endpoint, usage.input)
        paid = ratios.units(usage)
        health = health_of(entry, before) if before is not None else None
        without = paid
        if before is not None:
            without += _saved(usage, removed, before, health, ratios)
        elif removed:
            # What a conversation begins with was never sent before; of one that is not known any more, a part was.
            known = usage.cache_read / usage.input if entry.follows and usage.input else 0.0
            without += removed * (known * ratios.cache_read + (1 - known) * ratios.new_token(usage))
        self._remember(entry, usage, before, removed)
        return Account(entry, removed, tokens if entry.outcome == _OBSERVED else 0.0, paid, without, health)

    def _remember(self, entry: Entry, usage: Usage, before: Last | None, removed: float) -> None:
        if not entry.conversation or entry.ending is Ending.REFUSED:
            return
        first = before.first_cached if before is not None else usage.cache_read + usage.cache_write
        hour = usage.cache_write_1h > 0 or (before is not None and before.asks_hour)
        self._last[entry.conversation] = Last(entry, usage, first, removed, hour)
        self._last.move_to_end(entry.conversation)
        if len(self._last) > _MOST_CONVERSATIONS:
            self._last.popitem(last=False)


def _saved(usage: Usage, removed: float, before: Last, health: Health | None, ratios: Ratios) -> float:
    """Units that a request behind `before` would have cost more."""
    new = ratios.new_token(usage)
    if health is not None and health.is_ours:
        # Had we left it as it was, all that went before would have been read.
        read_then = before.cached + before.removed
        new_then = max(0.0, usage.input + removed - read_then)
        return read_then * ratios.cache_read + new_then * new - ratios.input_units(usage)
    old = min(before.removed, removed) * _read_share(usage, before)
    return old * ratios.cache_read + (removed - old) * new


def _read_share(usage: Usage, before: Last) -> float:
    """How much of what the request before had in its tool results was read from the cache.

    Tools and system prompt are read also where nothing else is, since other conversations share them. Tool results
    stand behind what the first request of the conversation had.
    """
    results = before.cached - before.first_cached
    if results <= 0:
        return float(usage.cache_read >= before.cached)
    return max(0.0, min(1.0, (usage.cache_read - before.first_cached) / results))

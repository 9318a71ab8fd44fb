"""What each request cost and would have cost, worked out from the entries of the ledger in the order of their time.

*Paid* is measured: the service said it. *Without* is an estimate: what the same request would have cost, had we removed
nothing. It rests on the factor from our tokens to the service's (see `billing.calibration`) and on this rule: what was
removed from the part that the service read from its cache would have been read as well; the rest would have been new,
at the price that new tokens had here. How much lies in that part is known from the requests before: see
`billing.last_request`.

A request that set old results aside although the cache was warm is a loss, as far as the bill shows it (see
`billing.cache_health`): without us all that went before would have been read.

What the rule does not know: whether the client would have compacted its conversation earlier, whether the model would
have asked for other things, and whether the request would have passed a length above which its model costs more.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from billing.cache_health import Health, health_of
from billing.calibration import Calibration
from billing.entry import Ending, Entry
from billing.last_request import Last, Mark, remembered
from billing.prices import Prices, Ratios
from billing.usage import Usage
from outcomes import OBSERVED, REWRITTEN

__all__ = ["Account", "Accounts"]

_MOST_CONVERSATIONS = 4_000


@dataclass(frozen=True, slots=True)
class Account:
    """One request. Costs are in *units*, the price of one uncached input token, output included.

    `paid` is None where the request was refused or the answer told of no usage; `without`, an estimate, is None then as
    well. `removed` are tokens as the service counts them, an estimate too. In the mode observe they are `observed`
    instead, and `could_save` is what the request would have cost less, in units. `health` is None where nothing was to
    be expected of the cache.
    """

    entry: Entry
    removed: float = 0.0
    observed: float = 0.0
    paid: float | None = None
    without: float | None = None
    health: Health | None = None
    could_save: float = 0.0

    @property
    def saved(self) -> float:
        """Units; below 0 where we made the request dearer."""
        return 0.0 if self.paid is None or self.without is None else self.without - self.paid


class Accounts:
    """Goes through entries, oldest first, and learns the factor of each deployment on the way.

    With `learns` False `calibration` stays as it is: for entries that it has been learned from already.
    """

    def __init__(
        self, calibration: Calibration | None = None, prices: Prices | None = None, *, learns: bool = True
    ) -> None:
        self.calibration = calibration or Calibration()
        self._prices = prices or Prices.load()
        self._learns = learns
        self._last: OrderedDict[str, Last] = OrderedDict()  # by conversation

    def add(self, entry: Entry) -> Account:
        """What the request of `entry` cost."""
        usage = entry.usage
        if usage is None or entry.ending is Ending.REFUSED:
            return Account(entry)
        before = self._last.get(entry.follows) if entry.follows else None
        if before is not None and self._learns:
            self.calibration.learn(before.entry, entry)
        factor = self.calibration.factor(entry.deployment, entry.model).value
        ratios = self._prices.ratios(entry.deployment, entry.model, entry.endpoint, usage.input)
        observes = entry.outcome == OBSERVED
        removed = entry.tokens_before - entry.tokens_after if observes or entry.outcome == REWRITTEN else 0
        if before is not None and removed:
            before = before.seen_as(observes=observes)
        health = health_of(entry, before, ratios) if before is not None else None
        paid = ratios.units(usage)
        if before is None and not entry.follows:
            saved = factor * removed * ratios.new_token(usage)  # what a conversation begins with was never sent before
        else:
            saved = _saved(usage, _Removed(removed, factor), before, health, ratios)
        if entry.conversation:
            self._last[entry.conversation] = remembered(entry, usage, removed, before, observes=observes)
            self._last.move_to_end(entry.conversation)
            if len(self._last) > _MOST_CONVERSATIONS:
                self._last.popitem(last=False)
        tokens = factor * removed
        if observes:
            return Account(entry, 0.0, tokens, paid, paid, health, saved)
        return Account(entry, tokens, 0.0, paid, paid + saved, health)


class _Removed(NamedTuple):
    """Tokens of ours that were left out of a request, and how many the service would have counted for one."""

    tokens: int
    factor: float

    @property
    def billed(self) -> float:
        """Tokens of the service."""
        return self.tokens * self.factor


def _saved(usage: Usage, removed: _Removed, before: Last | None, health: Health | None, ratios: Ratios) -> float:
    """Units that a request would have cost more, had nothing been removed from it nor from those before."""
    if before is None:
        # The one before is not known any more: what was removed is taken to be spread evenly.
        more_read = removed.billed * usage.cache_read / max(1, usage.input)
    elif health is not None and health.is_ours:
        # Had we left it as it was, all that went before would have been read.
        end = usage.input - (usage.uncached if usage.cache_write else 0)
        more_read = min(before.cached + before.removed * removed.factor, end + removed.billed) - usage.cache_read
    elif health is not None and health.is_expired and usage.cache_read < before.first_cached:
        more_read = 0.0  # what was read is what other conversations share: tools and system prompt
    else:
        in_read = before.removed_in(usage.cache_read, Mark(usage.input, removed.tokens))
        more_read = removed.factor * min(in_read, removed.tokens)
    return more_read * ratios.cache_read + (removed.billed - more_read) * ratios.new_token(usage)

"""From what each request cost to the figures of the report. Pure but for the local time zone, where none is given."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, tzinfo
from typing import NamedTuple

from billing.accounts import Account
from billing.cache_health import Cause as Reason
from billing.calibration import Calibration
from billing.entry import Change, Entry
from billing.prices import Price, Prices
from outcomes import OBSERVED, REWRITTEN
from report_savings.figures import (
    SOMETHING_ELSE,
    Cause,
    Content,
    Cost,
    Deployment,
    Figures,
    Health,
    Kept,
    ListPrice,
    Money,
    Results,
    Row,
    Tally,
    Waiting,
)
from report_savings.projects import UNKNOWN

__all__ = ["add_up"]

_SEEN_AS_RESULTS = frozenset({REWRITTEN, OBSERVED})  # the outcomes whose changes tell of results
_COUNTS = ("results", "errors", "rereads", "set_aside", "recalled")


def add_up(
    accounts: Iterable[Account],
    *,
    prices: Prices,
    calibration: Calibration,
    projects_of: Callable[[Iterable[str]], Mapping[str, str]],
    zone: tzinfo | None = None,
) -> Figures:
    """The figures of `accounts`, oldest first.

    `calibration` is asked when all accounts have been taken, since it learns meanwhile. `projects_of` names the
    projects of the client's sessions. Days are those of `zone`, None: of this machine.
    """
    sums = _Sums(prices, zone)
    for account in accounts:
        sums.add(account)
    return sums.figures(calibration, projects_of)


@dataclass(slots=True)
class _Cost:
    """A `Cost` that is still growing. `money` has requests, paid, without and output by currency."""

    requests: int = 0
    billed: int = 0
    paid: float = 0.0
    without: float = 0.0
    output: float = 0.0
    removed: float = 0.0
    observed: float = 0.0
    could_save: float = 0.0
    unpriced: int = 0
    money: dict[str, list[float]] = field(default_factory=dict)

    def add(self, other: _Cost) -> None:
        """Count all requests of another one."""
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for currency, more in other.money.items():
            before = self.money.get(currency, [0.0] * 4)
            self.money[currency] = [one + two for one, two in zip(before, more, strict=True)]

    def frozen(self) -> Cost:
        money = (Money(currency, int(requests), *rest) for currency, (requests, *rest) in sorted(self.money.items()))
        return Cost(**{name: getattr(self, name) for name in _SUMS}, money=tuple(money))


_SUMS = tuple(one.name for one in fields(_Cost) if one.name != "money")


@dataclass(slots=True)
class _Deployment:
    cost: _Cost = field(default_factory=_Cost)
    models: Counter[str] = field(default_factory=Counter)
    prices: Counter[ListPrice] = field(default_factory=Counter)


class _Pauses(NamedTuple):
    hit: list[float]
    missed: list[float]


class _Sums:
    def __init__(self, prices: Prices, zone: tzinfo | None) -> None:
        self._prices = prices
        self._zone = zone
        self._first: float | None = None
        self._last: float | None = None
        self._total = _Cost()
        self._days: defaultdict[str, _Cost] = defaultdict(_Cost)
        self._sessions: defaultdict[str, _Cost] = defaultdict(_Cost)
        self._deployments: defaultdict[str, _Deployment] = defaultdict(_Deployment)
        self._saved: dict[str, defaultdict[str, float]] = {"tool": defaultdict(float), "kind": defaultdict(float)}
        self._changes: dict[str, tuple[Change, ...]] = {}  # the last ones, by conversation
        self._counts: dict[str, dict[str, int]] = {}  # the most, by conversation
        self._outcomes: Counter[str] = Counter()
        self._endings: Counter[str] = Counter()
        self._modes: Counter[str] = Counter()
        self._reasons: Counter[Reason] = Counter()
        self._lost: Counter[Reason] = Counter()
        self._units_lost: defaultdict[Reason, float] = defaultdict(float)
        # Pauses in seconds after which a cache was still there or not, by deployment and lifetime that was asked for.
        self._pauses: defaultdict[tuple[str, float], _Pauses] = defaultdict(lambda: _Pauses([], []))
        self._waited: list[float] = []
        self._holdout = 0

    def add(self, account: Account) -> None:
        """Count one more request."""
        entry = account.entry
        price = self._price(account)
        bill = self._bill(account, price)
        self._first = entry.at if self._first is None else min(self._first, entry.at)
        self._last = entry.at if self._last is None else max(self._last, entry.at)
        deployment = self._deployments[entry.deployment]
        for cost in (self._total, self._days[self._day(entry.at)], self._sessions[entry.session], deployment.cost):
            cost.add(bill)
        if entry.model:
            deployment.models[entry.model] += 1
        if price is not None:
            deployment.prices[_list_price(price)] += 1
        self._add_content(entry, bill.without - bill.paid)
        self._outcomes[entry.outcome] += 1
        self._endings[entry.ending] += 1
        self._modes[entry.mode] += 1
        self._add_health(account)
        self._waited.append(entry.added_ms)
        self._holdout += entry.holdout

    def figures(self, calibration: Calibration, projects_of: Callable[[Iterable[str]], Mapping[str, str]]) -> Figures:
        """What all of it comes to."""
        return Figures(
            first=self._first,
            last=self._last,
            conversations=len(self._counts),
            holdout=self._holdout,
            total=self._total.frozen(),
            days=tuple(Row(day, cost.frozen()) for day, cost in sorted(self._days.items())),
            projects=self._by_project(projects_of),
            deployments=self._by_deployment(calibration),
            tools=self._by_content("tool"),
            kinds=self._by_content("kind"),
            outcomes=_tallies(self._outcomes),
            endings=_tallies(self._endings),
            modes=_tallies(self._modes),
            health=self._health(),
            waiting=_waiting(self._waited),
            results=Results(**{name: sum(counts[name] for counts in self._counts.values()) for name in _COUNTS}),
        )

    def _price(self, account: Account) -> Price | None:
        entry, usage = account.entry, account.entry.usage
        if usage is None or account.paid is None:
            return None
        return self._prices.of(entry.deployment, entry.model, usage.input)

    def _bill(self, account: Account, price: Price | None) -> _Cost:
        """The cost of one request."""
        entry, usage = account.entry, account.entry.usage
        if usage is None or account.paid is None or account.without is None:
            return _Cost(requests=1)
        ratios = self._prices.ratios(entry.deployment, entry.model, entry.endpoint, usage.input)
        output = ratios.output * usage.output
        paid, without = account.paid - output, account.without - output
        return _Cost(
            requests=1,
            billed=1,
            paid=paid,
            without=without,
            output=output,
            removed=account.removed,
            observed=account.observed,
            could_save=account.could_save,
            unpriced=int(price is None),
            money={} if price is None else {price.currency: [1.0, *map(price.of, (paid, without, output))]},
        )

    def _day(self, at: float) -> str:
        try:
            return datetime.fromtimestamp(at, self._zone).date().isoformat()
        except (ValueError, OverflowError, OSError):  # a clock that was far off
            return UNKNOWN

    def _add_content(self, entry: Entry, saved: float) -> None:
        if entry.conversation:
            counts = self._counts.setdefault(entry.conversation, dict.fromkeys(_COUNTS, 0))
            for name in _COUNTS:
                counts[name] = max(counts[name], getattr(entry, name))
            if entry.outcome in _SEEN_AS_RESULTS:
                self._changes[entry.conversation] = entry.changes
        if not saved:
            return
        removed = entry.tokens_before - entry.tokens_after
        if removed <= 0:
            for sums in self._saved.values():
                sums[SOMETHING_ELSE] += saved
            return
        # A request's saving is shared out by the tokens that were removed from it.
        for change in entry.changes:
            part = saved * (change.tokens_before - change.tokens_after) / removed
            self._saved["tool"][change.tool] += part
            self._saved["kind"][change.kind] += part

    def _add_health(self, account: Account) -> None:
        entry, health = account.entry, account.health
        if health is None:
            return
        self._reasons[health.cause] += 1
        self._lost[health.cause] += health.lost
        self._units_lost[health.cause] += health.units
        # What was changed says nothing of how long a cache is kept.
        if entry.gap is not None and not entry.moved and health.cause is not Reason.CLIENT:
            pauses = self._pauses[entry.deployment, health.lifetime]
            (pauses.hit if health.cause is Reason.HIT else pauses.missed).append(entry.gap)

    def _by_project(self, projects_of: Callable[[Iterable[str]], Mapping[str, str]]) -> tuple[Row, ...]:
        names = projects_of([session for session in self._sessions if session])
        sums: defaultdict[str, _Cost] = defaultdict(_Cost)
        for session, cost in self._sessions.items():
            sums[names.get(session, UNKNOWN)].add(cost)
        rows = (Row(name, cost.frozen()) for name, cost in sums.items())
        return tuple(sorted(rows, key=lambda row: (-row.cost.without, row.name)))

    def _by_deployment(self, calibration: Calibration) -> tuple[Deployment, ...]:
        found = []
        for name, sums in self._deployments.items():
            models = tuple(model for model, _ in sums.models.most_common())
            factor = calibration.factor(name, models[0] if models else "")
            prices = tuple(price for price, _ in sums.prices.most_common())
            found.append(Deployment(name, models, sums.cost.frozen(), factor.value, factor.samples, prices))
        return tuple(sorted(found, key=lambda row: (-row.cost.without, row.name)))

    def _by_content(self, what: str) -> tuple[Content, ...]:
        saved = self._saved[what]
        counts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for changes in self._changes.values():
            for change in changes:
                numbers = (change.results, change.tokens_before, change.tokens_after)
                sums = counts[getattr(change, what)]
                sums[:] = map(sum, zip(sums, numbers, strict=True))
        whole = self._total.without - self._total.paid
        rows = []
        for name in {*counts, *saved}:
            results, before, after = counts[name]
            part = saved.get(name, 0.0)
            rows.append(Content(name, results, before, after, part, part / whole if whole > 0 else None))
        return tuple(sorted(rows, key=lambda row: (-row.saved, -row.removed, row.name)))

    def _health(self) -> Health:
        causes = (
            Cause(reason, reason.sentence, requests, self._lost[reason], self._units_lost[reason])
            for reason, requests in self._reasons.most_common()
            if reason is not Reason.HIT
        )
        warm = sum(requests for reason, requests in self._reasons.items() if reason is not Reason.EXPIRED)
        kept = (
            Kept(*key, len(one.hit), len(one.missed), max(one.hit, default=None), min(one.missed, default=None))
            for key, one in sorted(self._pauses.items())
        )
        return Health(warm, self._reasons[Reason.HIT], tuple(causes), tuple(kept))


def _list_price(price: Price) -> ListPrice:
    found_on = price.found_on.isoformat() if price.found_on else ""
    return ListPrice(price.input, price.currency, price.source, found_on)


def _tallies(counts: Counter[str]) -> tuple[Tally, ...]:
    return tuple(Tally(str(name), requests) for name, requests in counts.most_common())


def _waiting(waited: Sequence[float]) -> Waiting:
    ordered = sorted(waited)
    if not ordered:
        return Waiting(None, None, None)
    # The least value that so many of them do not exceed.
    median, most = (ordered[math.ceil(share * len(ordered)) - 1] for share in (0.5, 0.95))
    return Waiting(median, most, ordered[-1])

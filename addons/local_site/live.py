"""What this process has done so far, as far as the site shows it: sums, the last requests, and sums by the minute."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus

from billing.accounts import Account
from billing.entry import Entry
from billing.prices import Prices
from billing.usage import Usage
from outcomes import OBSERVED, REWRITTEN

__all__ = ["BUCKETS", "MINUTE", "OTHERS", "Live", "Point"]

MINUTE = 60
"""Seconds that a `Point` stands for."""

BUCKETS = (1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0)
"""Milliseconds up to which added times are counted together; what is longer is counted too."""

OTHERS = "(others)"
"""Stands for all deployments after the first thirty: their names come from clients."""

_MOST_RECENT = 200
_MOST_MINUTES = 24 * 60
_MOST_DEPLOYMENTS = 30
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Point:
    """The sums of one minute that began at `at`, in seconds since 1970.

    `tokens_removed` are o200k_base, `paid` and `saved` units, the latter an estimate that may be below 0.
    """

    at: int
    requests: int = 0
    rewritten: int = 0
    tokens_removed: int = 0
    paid: float = 0.0
    saved: float = 0.0

    def plus(self, other: Point) -> Point:
        """Both together, from the beginning of this one."""
        return Point(
            self.at,
            self.requests + other.requests,
            self.rewritten + other.rewritten,
            self.tokens_removed + other.tokens_removed,
            self.paid + other.paid,
            self.saved + other.saved,
        )


@dataclass(slots=True)
class _Costs:
    """Of requests whose answers told what was billed; `without` is an estimate."""

    paid: float = 0.0
    without: float = 0.0

    def add(self, paid: float, without: float) -> None:
        self.paid += paid
        self.without += without

    def as_dict(self, digits: int) -> dict[str, object]:
        return {
            "paid": round(self.paid, digits),
            "without": round(self.without, digits),
            "saved": round(self.without - self.paid, digits),
        }


@dataclass(slots=True)
class _Deployment:
    requests: int = 0
    units: _Costs = field(default_factory=_Costs)
    billed: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, object]:
        return {"requests": self.requests, **self.units.as_dict(1), "billed": dict(self.billed)}


class Live:
    """Live sums of the requests that have ended. Tokens are o200k_base; bytes those of the body before its encoding.

    What was saved counts where the service answered: nobody pays for a request that is refused, and a client repeats
    it. Nothing here grows without bound.
    """

    def __init__(self, prices: Prices | None = None) -> None:
        self.since = datetime.now(UTC)
        self._prices = prices or Prices.load()
        self._recent: deque[Account] = deque(maxlen=_MOST_RECENT)
        self._minutes: dict[int, Point] = {}
        self._outcomes: Counter[str] = Counter()
        self._endings: Counter[str] = Counter()
        self._tokens_before = 0
        self._tokens_after = 0
        self._bytes_removed = 0
        self._tokens_observed = 0
        self._units = _Costs()
        self._units_observed = 0.0
        self._money: dict[str, _Costs] = {}  # by currency
        self._without_usage = 0
        self._without_price = 0
        self._prices_of = ""
        self._deployments: dict[str, _Deployment] = {}
        self._cache: Counter[str] = Counter()
        self._cache_lost: Counter[str] = Counter()
        self._added_ms = 0.0
        self._added = [0] * (len(BUCKETS) + 1)

    def add(self, account: Account) -> None:
        """Add one request."""
        entry = account.entry
        self._recent.append(account)
        self._outcomes[entry.outcome] += 1
        self._endings[entry.ending] += 1
        self._added_ms += entry.added_ms
        self._added[bisect_left(BUCKETS, entry.added_ms)] += 1
        self._add_removed(entry)
        self._add_costs(account)
        if account.health is not None:
            self._cache[account.health.cause] += 1
            self._cache_lost[account.health.cause] += account.health.lost
        self._add_minute(account)

    def recent(self) -> Sequence[Account]:
        """The last requests, newest last."""
        return tuple(self._recent)

    def history(self) -> Sequence[Point]:
        """The minutes of a day in which a request came in, oldest first."""
        return tuple(self._minutes[at] for at in sorted(self._minutes))

    def as_dict(self) -> dict[str, object]:
        """The sums, ready for JSON.

        `unchanged` and `outcomes` map a reason to a number of requests, `endings` how a request ended.
        `tokens_observed` and `units_observed` would have been saved, had the mode not been observe. Units are the price
        of one uncached input token; `without` and `saved` are estimates. `money` maps a currency to the same at the
        prices of `prices_of`. `cache` and `cache_lost` map a cause to a number of requests, and to tokens that were not
        read. `added_ms` counts requests up to so many milliseconds, and up to any. `since` is UTC, ISO 8601.
        """
        requests = self._outcomes.total()
        rewritten = self._outcomes[REWRITTEN]
        return {
            "requests": requests,
            "rewritten": rewritten,
            "unchanged": {name: count for name, count in sorted(self._outcomes.items()) if name != REWRITTEN and count},
            "tokens_removed": self._tokens_before - self._tokens_after,
            "bytes_removed": self._bytes_removed,
            "tokens_observed": self._tokens_observed,
            "units_observed": round(self._units_observed, 1),
            "units_paid": round(self._units.paid, 1),
            "units_saved": round(self._units.without - self._units.paid, 1),
            "units_without": round(self._units.without, 1),
            "since": self.since.isoformat(timespec="seconds"),
            "tokens_before": self._tokens_before,
            "tokens_after": self._tokens_after,
            "outcomes": {name: count for name, count in sorted(self._outcomes.items()) if count},
            "endings": dict(sorted(self._endings.items())),
            "money": {currency: costs.as_dict(6) for currency, costs in sorted(self._money.items())},
            "prices_of": self._prices_of,
            "without_usage": self._without_usage,
            "without_price": self._without_price,
            "deployments": {name: sums.as_dict() for name, sums in sorted(self._deployments.items())},
            "cache": dict(sorted(self._cache.items())),
            "cache_lost": dict(sorted(self._cache_lost.items())),
            "added_ms": {"count": requests, "sum": round(self._added_ms, 3), "up_to": self._up_to()},
        }

    def _add_removed(self, entry: Entry) -> None:
        if not _is_answered(entry):
            return
        if entry.outcome == REWRITTEN:
            self._tokens_before += entry.tokens_before
            self._tokens_after += entry.tokens_after
            self._bytes_removed += entry.bytes_before - entry.bytes_after
        elif entry.outcome == OBSERVED:
            self._tokens_observed += entry.tokens_before - entry.tokens_after

    def _add_costs(self, account: Account) -> None:
        entry, usage, paid, without = account.entry, account.entry.usage, account.paid, account.without
        name = entry.deployment[:_LONGEST_NAME]
        if name not in self._deployments and len(self._deployments) >= _MOST_DEPLOYMENTS:
            name = OTHERS
        deployment = self._deployments.setdefault(name, _Deployment())
        deployment.requests += 1
        if usage is None or paid is None or without is None:
            self._without_usage += _is_answered(entry)
            return
        deployment.billed.update(_kinds(usage))
        deployment.units.add(paid, without)
        self._units.add(paid, without)
        self._units_observed += account.could_save
        price = self._prices.of(entry.deployment, entry.model, usage.input)
        if price is None:
            self._without_price += 1
            return
        self._money.setdefault(price.currency, _Costs()).add(price.of(paid), price.of(without))
        if price.found_on is not None:
            self._prices_of = max(self._prices_of, price.found_on.isoformat())

    def _add_minute(self, account: Account) -> None:
        entry = account.entry
        at = int(entry.at) // MINUTE * MINUTE
        is_rewritten = entry.outcome == REWRITTEN
        removed = entry.tokens_before - entry.tokens_after if is_rewritten and _is_answered(entry) else 0
        point = Point(at, 1, int(is_rewritten), removed, account.paid or 0.0, account.saved)
        before = self._minutes.get(at)
        self._minutes[at] = point if before is None else before.plus(point)
        if len(self._minutes) > _MOST_MINUTES:
            del self._minutes[min(self._minutes)]

    def _up_to(self) -> dict[str, int]:
        counted, sums = 0, {}
        for limit, count in zip((*map(_plain, BUCKETS), "any"), self._added, strict=True):
            counted += count
            sums[limit] = counted
        return sums


def _plain(limit: float) -> str:
    return f"{limit:g}"


def _is_answered(entry: Entry) -> bool:
    return 0 < entry.status < HTTPStatus.BAD_REQUEST


def _kinds(usage: Usage) -> dict[str, int]:
    return {
        "uncached": usage.uncached,
        "cache_read": usage.cache_read,
        "cache_write_5m": usage.cache_write_5m,
        "cache_write_1h": usage.cache_write_1h,
        "output": usage.output,
    }

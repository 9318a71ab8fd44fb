"""The figures of the report, as they are told. `docs/report.md` says of each how it is obtained.

Costs are of input, in *units*, the price of one uncached input token, or in a currency. Output is told apart: it costs
the same with us and without. What was paid is measured; what it would have been, and so what was saved, is estimated.
"""

from __future__ import annotations

from dataclasses import dataclass

from billing.evidence import Evidence

__all__ = [
    "SOMETHING_ELSE",
    "Cause",
    "Content",
    "Cost",
    "Deployment",
    "Figures",
    "Health",
    "Kept",
    "ListPrice",
    "Money",
    "Results",
    "Row",
    "Tally",
    "Waiting",
]

SOMETHING_ELSE = "something else"
"""Where a saving or a loss belongs that comes from no result in its request."""


@dataclass(frozen=True, slots=True)
class Money:
    """What those requests cost whose price is known in `currency`."""

    currency: str
    requests: int
    paid: float
    without: float
    output: float

    @property
    def saved(self) -> float:
        """Below 0 if it became dearer."""
        return self.without - self.paid


@dataclass(frozen=True, slots=True)
class Cost:
    """What some requests cost.

    `billed` of the `requests` are those whose bill is known, and all else is of these. `paid`, `without` and `output`
    are units. `removed` are tokens as the service counts them, once in each request that would have carried them;
    `observed` are those that the mode observe only measured, and `could_save` the units that
    they cost. `unpriced` is how many requests have no known price.
    """

    requests: int = 0
    billed: int = 0
    paid: float = 0.0
    without: float = 0.0
    output: float = 0.0
    removed: float = 0.0
    observed: float = 0.0
    could_save: float = 0.0
    unpriced: int = 0
    money: tuple[Money, ...] = ()

    @property
    def saved(self) -> float:
        """Units; below 0 if it became dearer."""
        return self.without - self.paid

    @property
    def share(self) -> float | None:
        """What was saved of the input bill that would have been; None if there was none."""
        return self.saved / self.without if self.without > 0 else None

    @property
    def in_one_currency(self) -> Money | None:
        """The same in money, where every price is known and in the same currency."""
        return self.money[0] if len(self.money) == 1 and not self.unpriced else None


@dataclass(frozen=True, slots=True)
class Row:
    """The cost of one day (`name` is its date) or project."""

    name: str
    cost: Cost


@dataclass(frozen=True, slots=True)
class ListPrice:
    """Of a million uncached input tokens. `found_on` is a date, empty if it is not known."""

    per_million: float
    currency: str
    source: str
    found_on: str


@dataclass(frozen=True, slots=True)
class Deployment:
    """`factor` is how many tokens the service counts for one of o200k_base, learned from so many `samples`; 0: assumed.

    `prices` are those that its requests were counted with, the most frequent first.
    """

    name: str
    models: tuple[str, ...]
    cost: Cost
    factor: float
    samples: int
    prices: tuple[ListPrice, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """Rewritten results of one tool, or of one kind.

    Results and their tokens (o200k_base) are counted once a conversation. `saved` is their part of what all requests
    saved, in units, and `share` that part of the whole; None if nothing was saved on the whole.
    """

    name: str
    results: int
    tokens_before: int
    tokens_after: int
    saved: float
    share: float | None

    @property
    def removed(self) -> int:
        """Tokens (o200k_base)."""
        return self.tokens_before - self.tokens_after


@dataclass(frozen=True, slots=True)
class Tally:
    """How many requests have `name` for their outcome, ending or mode."""

    name: str
    requests: int


@dataclass(frozen=True, slots=True)
class Cause:
    """Why so many requests read less from the prompt cache than it held, how many tokens less, and what that cost."""

    name: str
    sentence: str
    requests: int
    tokens_lost: int
    units_lost: float


@dataclass(frozen=True, slots=True)
class Kept:
    """How long a deployment kept a prompt cache for requests that ask for `lifetime` seconds.

    `longest_hit` is the longest pause after which it was read, `shortest_miss` the shortest after which it was not, in
    seconds; None: there was none.
    """

    deployment: str
    lifetime: float
    hits: int
    misses: int
    longest_hit: float | None
    shortest_miss: float | None


@dataclass(frozen=True, slots=True)
class Health:
    """The prompt cache.

    `warm` requests could read what the one before left there, and `hits` of them did. `causes` have the rest, and those
    that came too late for it.
    """

    warm: int
    hits: int
    causes: tuple[Cause, ...]
    kept: tuple[Kept, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Milliseconds that requests waited for us: half of them less than `p50`, and so on; None without any request."""

    p50: float | None
    p95: float | None
    longest: float | None


@dataclass(frozen=True, slots=True)
class Results:
    """Tool results, counted once a conversation."""

    results: int
    errors: int
    rereads: int
    set_aside: int
    recalled: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that the report says. Times are seconds since 1970, None without any request.

    `holdout` requests were left alone for comparison; `evidence` compares them with the others.
    """

    first: float | None
    last: float | None
    conversations: int
    holdout: int
    total: Cost
    days: tuple[Row, ...]
    projects: tuple[Row, ...]
    deployments: tuple[Deployment, ...]
    tools: tuple[Content, ...]
    kinds: tuple[Content, ...]
    outcomes: tuple[Tally, ...]
    endings: tuple[Tally, ...]
    modes: tuple[Tally, ...]
    health: Health
    waiting: Waiting
    results: Results
    evidence: Evidence | None = None
    unreadable: int = 0
    """How many rows of the whole ledger could not be read: they are in none of this."""

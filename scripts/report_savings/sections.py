"""The report as headings, sentences and tables, which the terminal and the page lay out each in its own way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

import outcomes
from report_savings.figures import Content, Cost, Deployment, Figures, Kept, Money, Row, Tally
from report_savings.words import NOTHING, amount, count, duration, ending, money, ms, percent

__all__ = ["Column", "Section", "Table", "costs_of", "headline", "notes", "period", "sections"]

_MUCH = 20  # of a currency: more needs no more than two decimals


@dataclass(frozen=True, slots=True)
class Column:
    """`rank` 0 is always shown, 1 where there is room. `is_name`: words, which may be folded."""

    title: str
    rank: int = 0
    is_name: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """`bars` are one value a row, to be drawn beside it where there is room; empty: none."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    bars: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """`lines` stand before the table."""

    title: str
    lines: tuple[str, ...] = ()
    table: Table | None = None


def period(figures: Figures, zone: tzinfo | None = None) -> str:
    """From when to when the requests came."""
    if figures.first is None or figures.last is None:
        return "no requests"
    try:
        first, last = (datetime.fromtimestamp(at, zone) for at in (figures.first, figures.last))
    except (ValueError, OverflowError, OSError):  # a clock that was far off
        return "times unknown"
    return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"


def costs_of(figures: Figures) -> tuple[Callable[[Cost], Money | Cost], Callable[[float], str], str]:
    """In what costs are shown: how to get them, how they are written, and the name of what they are in.

    Money where all prices are known and in one currency, units otherwise.
    """
    whole = figures.total.in_one_currency
    if whole is None:
        return (lambda cost: cost), amount, "units"
    currency = whole.currency
    none = Money(currency, 0, 0.0, 0.0, 0.0)
    # The same for all, so that they can be compared at a glance.
    decimals = 2 if whole.without >= _MUCH else 4
    return (lambda cost: cost.in_one_currency or none), (lambda value: money(value, currency, decimals)), currency


def headline(figures: Figures) -> Iterator[str]:
    """The sentences that come first. The first one is the most important."""
    total = figures.total
    if total.billed:
        yield _saving(total)
        for part in total.money:
            yield _saving_in_money(part, total)
        yield (
            f"Paid for input: {amount(total.paid)} units (measured). Without: {amount(total.without)} units"
            f" (estimated). Output came to {amount(total.output)} units on top (measured), which no rewriting changes."
        )
        if total.removed:
            yield f"Kept out of all requests together: {amount(total.removed)} tokens as billed (estimated)."
    else:
        yield "No request has a known bill, so nothing can be said of costs."
    if total.observed:
        yield (
            f"The mode observe changed nothing. Another would have kept out {amount(total.observed)} tokens as billed,"
            f" and saved {amount(total.could_save)} units (estimated)."
        )
    unbilled = total.requests - total.billed
    if unbilled:
        yield f"{count(unbilled, 'request')} ended before the service told a bill: in no sum of costs."
    if figures.unreadable:
        yield f"{count(figures.unreadable, 'request')} in the ledger cannot be read: in none of the figures."
    if total.unpriced and total.money:
        yield (
            "Counted in units only, since no price is known:"
            f" {count(total.unpriced, 'request')}. Name one with --prices."
        )
    elif total.unpriced:
        yield "No price is known for these models, so costs are in units. Name prices with --prices."


def _saving(total: Cost) -> str:
    if total.saved < 0:
        by = f"{percent(-total.share)} of the input bill, " if total.share is not None else ""
        return f"It became dearer by {by}{amount(-total.saved)} units (estimated)."
    return f"Saved {percent(total.share)} of the input bill: {amount(total.saved)} units (estimated)."


def _saving_in_money(part: Money, total: Cost) -> str:
    where = "" if part.requests == total.billed else f" in {count(part.requests, 'request')} of known price"
    verb, value = ("Dearer by", -part.saved) if part.saved < 0 else ("Saved", part.saved)
    return (
        f"{verb} {money(value, part.currency)}{where} (estimated), at list prices or your own:"
        f" {money(part.paid, part.currency)} for input instead of {money(part.without, part.currency)}."
    )


def sections(figures: Figures) -> Iterator[Section]:
    """What follows, in order. What there is nothing to say of is left out."""
    if figures.total.billed:
        days = _by_cost(figures, figures.days, "day", _day)
        yield Section("By day", ("The bar shows what was saved.",) if len(figures.days) > 1 else (), days)
        yield Section("By project", (), _by_cost(figures, _dearest_first(figures, figures.projects), "project", str))
    yield Section("By deployment", (), _deployments(figures))
    if figures.tools:
        yield Section("By tool", (_CONTENT,), _content(figures.tools, "tool"))
        yield Section("By kind of content", (), _content(figures.kinds, "kind"))
    yield Section("What was done, and why nothing", (), _tallies(figures.outcomes, "request", outcomes.words))
    yield Section("Prompt cache", tuple(_health(figures)), _causes(figures))
    yield Section("Results", tuple(_results(figures)))
    yield Section("Time added", (_waiting(figures),))
    yield Section("How requests ended", (), _tallies(figures.endings, "ending", ending))
    if figures.evidence is not None:
        yield Section("Holdout", tuple(_arms(figures)), _comparisons(figures))


_CONTENT = (
    "Results and tokens (o200k_base) as each conversation last sent them; what was saved is over all requests, shared"
    " out by the tokens removed (estimated)."
)


def _by_cost(figures: Figures, rows: Sequence[Row], title: str, name: Callable[[str], str]) -> Table:
    of, shown, unit = costs_of(figures)
    costs = [of(row.cost) for row in rows]
    return Table(
        (
            Column(title, is_name=True),
            Column("requests"),
            Column(f"paid, {unit}", rank=1),
            Column(f"without, {unit}", rank=1),
            Column(f"saved, {unit}"),
            Column("of input bill"),
        ),
        tuple(
            (
                name(row.name),
                count(row.cost.requests),
                *(_bare(shown(value), unit) for value in (cost.paid, cost.without, cost.saved)),
                percent(row.cost.share),
            )
            for row, cost in zip(rows, costs, strict=True)
        ),
        tuple(cost.saved for cost in costs),
    )


def _dearest_first[Costly: (Row, Deployment)](figures: Figures, rows: Sequence[Costly]) -> list[Costly]:
    """By what is shown: two deployments' units need not be worth the same."""
    of, _, _ = costs_of(figures)
    return sorted(rows, key=lambda row: -of(row.cost).without)


def _bare(shown: str, unit: str) -> str:
    """A value whose unit the heading has."""
    return shown.removesuffix(f" {unit}")


def _day(name: str) -> str:
    try:
        return f"{name} {date.fromisoformat(name):%a}"
    except ValueError:
        return name


def _deployments(figures: Figures) -> Table:
    of, shown, unit = costs_of(figures)
    return Table(
        (
            Column("deployment", is_name=True),
            Column("requests"),
            Column(f"saved, {unit}"),
            Column("of input bill"),
            Column("token factor", rank=1),
            Column("price a million", rank=1, is_name=True),
        ),
        tuple(
            (
                row.name or "not named",
                count(row.cost.requests),
                _bare(shown(of(row.cost).saved), unit),
                percent(row.cost.share),
                _factor(row),
                _price(row),
            )
            for row in _dearest_first(figures, figures.deployments)
        ),
    )


def _factor(row: Deployment) -> str:
    return f"{row.factor:.2f}, {'learned' if row.samples else 'assumed'}"


def _price(row: Deployment) -> str:
    if not row.prices:
        return "unknown"
    first = row.prices[0]
    others = f", and {count(len(row.prices) - 1, 'other price')}" if len(row.prices) > 1 else ""
    when = f" ({first.found_on})" if first.found_on else ""
    return f"{money(first.per_million, first.currency)}{when}{others}"


def _content(rows: Sequence[Content], title: str) -> Table:
    return Table(
        (
            Column(title, is_name=True),
            Column("results"),
            Column("tokens before", rank=1),
            Column("after", rank=1),
            Column("removed"),
            Column("saved, units"),
            Column("of saving", rank=1),
        ),
        tuple(
            (
                row.name or "unknown",
                count(row.results),
                amount(row.tokens_before),
                amount(row.tokens_after),
                amount(row.removed),
                amount(row.saved),
                percent(row.share),
            )
            for row in rows
        ),
        tuple(row.saved for row in rows),
    )


def _tallies(tallies: Sequence[Tally], title: str, words: Callable[[str], str]) -> Table:
    requests = sum(tally.requests for tally in tallies)
    return Table(
        (Column(title, is_name=True), Column("requests"), Column("share")),
        tuple(
            (words(tally.name) or NOTHING, count(tally.requests), percent(tally.requests / requests))
            for tally in tallies
        ),
    )


def _health(figures: Figures) -> Iterator[str]:
    health = figures.health
    if health.warm:
        yield (
            f"{count(health.warm, 'request')} should have found the prompt cache warm; {count(health.hits)}"
            f" ({percent(health.hits / health.warm)}) read what was there (measured)."
        )
    else:
        yield "No request had a warm prompt cache to read."
    for kept in health.kept:
        if kept.misses or (kept.longest_hit or 0.0) > kept.lifetime:
            yield _kept(kept)
    if health.causes:
        yield "What was not read, by likely cause:"


def _kept(kept: Kept) -> str:
    read = f"was read after {duration(kept.longest_hit)} at most" if kept.longest_hit is not None else "was never read"
    missed = f", and not read after {duration(kept.shortest_miss)} and more" if kept.shortest_miss is not None else ""
    return (
        f"{kept.deployment or 'A deployment without name'}: a prompt cache that should stay"
        f" {duration(kept.lifetime)} {read}{missed} (measured)."
    )


def _causes(figures: Figures) -> Table | None:
    if not figures.health.causes:
        return None
    return Table(
        (Column("likely cause", is_name=True), Column("requests"), Column("tokens not read"), Column("cost, units")),
        tuple(
            (cause.sentence, count(cause.requests), amount(cause.tokens_lost), amount(cause.units_lost))
            for cause in figures.health.causes
        ),
    )


def _results(figures: Figures) -> Iterator[str]:
    found = figures.results
    yield (
        f"{count(found.results, 'tool result')} in {count(figures.conversations, 'conversation')}:"
        f" {count(found.set_aside)} set aside, {count(found.recalled)} brought back."
    )
    yield f"{count(found.errors)} reported an error; {count(found.rereads)} read a file again that had been read."


def _waiting(figures: Figures) -> str:
    waiting = figures.waiting
    return (
        f"Half of the requests waited {ms(waiting.p50)} or less for the addon, 95% of them {ms(waiting.p95)} or less,"
        f" none more than {ms(waiting.longest)} (measured)."
    )


def _arms(figures: Figures) -> Iterator[str]:
    evidence = figures.evidence
    if evidence is None:
        return
    yield (
        f"{count(evidence.holdout.sessions, 'session')} ({count(evidence.holdout.turns, 'request')}) left alone, beside"
        f" {count(evidence.treated.sessions, 'session')} ({count(evidence.treated.turns, 'request')}) treated."
        " Everything here is measured."
    )
    if not evidence.is_enough:
        yield "Too few sessions in one of them to compare."
    else:
        yield "A ratio below 1 means less with the addon; where the interval has 1 in it, it may be chance."


def _comparisons(figures: Figures) -> Table | None:
    if figures.evidence is None or not figures.evidence.is_enough:
        return None
    return Table(
        (
            Column("on the average", is_name=True),
            Column("treated"),
            Column("left alone"),
            Column("ratio"),
            Column("95% interval"),
        ),
        tuple(
            (
                row.name,
                _average(row.treated),
                _average(row.holdout),
                "-" if row.ratio is None else f"{row.ratio:.2f}",
                "-" if row.interval is None else f"{row.interval.low:.2f} to {row.interval.high:.2f}",
            )
            for row in figures.evidence.comparisons
        ),
    )


def _average(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else amount(value)  # noqa: PLR2004 - shares, and small numbers of requests


def notes(figures: Figures) -> Iterator[str]:
    """What to know about all of it."""
    yield (
        "Measured is what the service said in its answers. What it would have been without is an estimate: the tokens"
        " that were removed, at the prices of the request that they were removed from."
    )
    yield "A unit is the price of one input token that is neither read from the prompt cache nor written to it."
    yield "The token factor is how many tokens the service counts for one of o200k_base, which is what we count."
    if any(not row.samples for row in figures.deployments):
        yield "A factor is assumed where too little was billed to learn it."
    deployments: dict[str, list[str]] = {}
    for row in figures.deployments:
        for source in dict.fromkeys(price.source for price in row.prices if price.source):
            deployments.setdefault(source, []).append(row.name or "not named")
    for source, names in deployments.items():
        yield f"Price of {', '.join(names)}: {source}. Contracts differ; --prices takes a file of your own."

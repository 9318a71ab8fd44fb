from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.entry import Ending
from billing.usage import Usage
from report_savings.figures import SOMETHING_ELSE, Figures
from report_savings.projects import UNKNOWN
from tests.scripts.report_savings.ledgers import (
    BASH,
    DAY,
    NOON,
    OTHER_SESSION,
    READ,
    SESSION,
    conversation,
    request,
)
from tests.scripts.report_savings.made_up import figures_of, of_every_kind, own_prices


def numbers(value: Any) -> Iterator[float]:
    """All numbers in a tree of dataclasses."""
    if isinstance(value, int | float):
        yield value
    elif isinstance(value, tuple):
        for one in value:
            yield from numbers(one)
    elif is_dataclass(value):
        for one in fields(value):
            yield from numbers(getattr(value, one.name))


@pytest.mark.parametrize("name", of_every_kind())
def test_every_figure_is_a_number(name: str) -> None:
    assert all(math.isfinite(number) for number in numbers(of_every_kind()[name]))


def test_what_one_request_cost() -> None:
    # 2,000 of Read and 1,000 of Bash were removed, which is 3,540 as the service counts (1.18 is assumed).
    total = figures_of([request(usage=Usage(cache_write_5m=10_000, output=200))]).total
    assert total.paid == 10_000 * 1.25
    assert total.output == 200 * 5
    assert total.removed == pytest.approx(3540)
    # Nothing was read, so they would have been written to the cache as well.
    assert total.saved == pytest.approx(3540 * 1.25)
    assert total.share == pytest.approx(total.saved / (total.paid + total.saved))
    [dollars] = total.money
    assert (dollars.currency, dollars.requests) == ("USD", 1)
    assert dollars.paid == pytest.approx(total.paid * 5 / 1e6)
    assert dollars.saved == pytest.approx(total.saved * 5 / 1e6)
    assert dollars.output == pytest.approx(total.output * 5 / 1e6)


def test_no_requests() -> None:
    figures = figures_of([])
    assert (figures.first, figures.last, figures.total.requests, figures.total.share) == (None, None, 0, None)
    assert (figures.days, figures.projects, figures.deployments, figures.tools) == ((), (), (), ())
    assert (figures.waiting.p50, figures.waiting.p95, figures.waiting.longest) == (None, None, None)
    assert figures.total.in_one_currency is None


def test_days_are_those_of_the_time_zone() -> None:
    entries = [request(at=NOON - DAY), request(at=NOON), request(at=NOON + DAY / 2 + 60)]
    in_utc = [(row.name, row.cost.requests) for row in figures_of(entries).days]
    assert [requests for _, requests in in_utc] == [1, 1, 1]
    to_the_west = [row.cost.requests for row in figures_of(entries, zone=timezone(timedelta(hours=-8))).days]
    assert to_the_west == [1, 2]
    assert [row.name for row in figures_of([request(at=1e17)]).days] == [UNKNOWN]


def test_projects() -> None:
    entries = [
        request(session=SESSION),
        request(session=OTHER_SESSION, conversation="c2", usage=Usage(cache_write_5m=90_000)),
        request(session=SESSION.replace("1", "9"), conversation="c3"),
        request(session="", conversation="c4"),
    ]
    rows = figures_of(entries).projects
    assert [(row.name, row.cost.requests) for row in rows] == [("bank", 1), (UNKNOWN, 2), ("shop", 1)]
    assert [row.cost.requests for row in figures_of(entries, names={SESSION: "x", OTHER_SESSION: "x"}).projects] == [
        2,
        2,
    ]


def test_deployments_tell_how_they_are_counted(tmp_path: Path) -> None:
    prices = own_prices(tmp_path, ("own", 2.0))
    learned = [
        request(
            at=NOON + turn,
            follows="c1",
            deployment="taught",
            model="m",
            counted=1000,
            usage=Usage(uncached=10_000 + turn * 1500, output=0),
        )
        for turn in range(8)
    ]
    figures = figures_of([*learned, request(deployment="own-one", conversation="c2")], prices)
    taught, own = sorted(figures.deployments, key=lambda row: row.name, reverse=True)
    assert (taught.name, taught.models, taught.factor, taught.samples) == ("taught", ("m",), 1.5, 7)
    assert taught.prices == ()
    # The model's name comes before the deployment's, and the user's own rows before the others.
    assert (own.name, own.factor, own.samples) == ("own-one", 1.18, 0)
    assert [(price.currency, price.per_million) for price in own.prices] == [("USD", 5.0)]
    assert own.prices[0].source
    assert own.prices[0].found_on


def test_costs_in_several_currencies_are_not_added(tmp_path: Path) -> None:
    prices = own_prices(tmp_path, ("mine", 2.0))
    entries = [request(), request(model="mine"), request(model="m", deployment="d")]
    total = figures_of(entries, prices).total
    assert [(money.currency, money.requests) for money in total.money] == [("EUR", 1), ("USD", 1)]
    assert total.unpriced == 1
    assert total.in_one_currency is None
    alone = figures_of(entries[1:2], prices).total.in_one_currency
    assert alone is not None
    assert alone.currency == "EUR"


def test_results_count_once_a_conversation_and_what_they_save_in_every_request() -> None:
    figures = figures_of(conversation(3))
    assert [(row.name, row.results, row.tokens_before, row.removed) for row in figures.tools] == [
        (READ.tool, 2, 3000, 2000),
        (BASH.tool, 1, 1500, 1000),
    ]
    assert [row.name for row in figures.kinds] == [READ.kind, BASH.kind]
    assert [row.share for row in figures.tools] == [pytest.approx(2 / 3), pytest.approx(1 / 3)]
    assert figures.tools[0].saved == pytest.approx(figures.total.saved * 2 / 3)
    assert (figures.results.results, figures.results.errors, figures.results.rereads) == (5, 1, 1)
    assert figures.conversations == 1


def test_a_request_that_tells_of_no_results_hides_none() -> None:
    turns = conversation(2)
    later = request(at=NOON + 200, follows="c1", outcome="failed", changes=())
    assert [row.results for row in figures_of([*turns, later]).tools] == [2, 1]


def test_an_estimate_below_nothing_stays_so() -> None:
    figures = of_every_kind()["broken cache"]
    last = figures.total
    assert [cause.name for cause in figures.health.causes] == ["ours"]
    assert figures.health.causes[0].tokens_lost > 0
    assert (figures.health.warm, figures.health.hits) == (3, 2)
    assert (figures.results.set_aside, figures.results.recalled) == (3, 1)
    assert last.saved < 0
    assert last.share is not None
    assert last.share < 0
    assert all(row.share is None for row in figures.tools)
    assert sum(row.saved for row in figures.tools) == pytest.approx(last.saved)


def test_how_long_a_prompt_cache_was_kept() -> None:
    late = Usage(uncached=100, cache_write_5m=40_000)
    read = Usage(uncached=100, cache_read=30_000, cache_write_5m=100)
    missed = request(at=NOON + 1000, follows="c1", gap=700.0, is_cold=True, usage=late)
    still_there = request(at=NOON + 520, follows="c1", gap=400.0, usage=read)
    health = figures_of([*conversation(3), still_there, missed]).health
    [kept] = health.kept
    assert (kept.deployment, kept.lifetime) == ("opus", 300)
    assert (kept.hits, kept.misses, kept.longest_hit, kept.shortest_miss) == (3, 1, 400.0, 700.0)
    assert [cause.name for cause in health.causes] == ["expired"]
    assert health.causes[0].units_lost > 0
    assert (health.warm, health.hits) == (3, 3)


def test_of_several_pauses_the_longest_and_the_shortest_are_told() -> None:
    hit, lost = Usage(cache_read=5_000), Usage(cache_write_5m=5_000)
    pauses = [(None, lost), (20.0, hit), (280.0, hit), (400.0, lost), (330.0, lost)]
    entries = [
        request(at=NOON + at, follows="c1" if at else "", gap=gap, usage=usage)
        for at, (gap, usage) in enumerate(pauses)
    ]
    told = {"moved": True, "is_cold": True}, {"prefix_kept": False}
    says_nothing = [request(at=NOON + 9, follows="c1", gap=310.0, usage=lost, **fields) for fields in told]
    [kept] = figures_of([*entries, *says_nothing]).health.kept
    assert (kept.hits, kept.misses, kept.longest_hit, kept.shortest_miss) == (2, 2, 280.0, 330.0)


def test_a_loss_without_anything_removed_is_something_elses() -> None:
    moved = {"moved": True, "changes": (), "outcome": "nothing-to-do"}
    turns = conversation(2)
    usage = Usage(uncached=100, cache_read=10_100, cache_write_5m=30_000)
    figures = figures_of([*turns, request(at=NOON + 120, follows="c1", gap=60.0, usage=usage, **moved)])
    assert figures.total.saved == pytest.approx(sum(row.saved for row in figures.tools))
    lost = [row for row in figures.tools if row.name == SOMETHING_ELSE]
    assert all(row.results == 0 and row.saved < 0 for row in lost)
    assert lost


def test_the_mode_observe_saves_nothing_and_tells_what_could_be() -> None:
    total = figures_of(conversation(3, outcome="observed", mode="observe")).total
    assert (total.saved, total.removed) == (0, 0)
    assert total.observed == pytest.approx(3 * 3540)
    assert total.could_save > 0


def test_what_has_no_bill_is_counted_and_costs_nothing() -> None:
    refused = request(usage=None, ending=Ending.REFUSED, status=429, conversation="")
    figures = figures_of([request(), refused])
    assert (figures.total.requests, figures.total.billed) == (2, 1)
    assert figures.total.paid == figures_of([request()]).total.paid
    assert {tally.name: tally.requests for tally in figures.endings} == {"complete": 1, "refused": 1}


def test_how_long_requests_waited() -> None:
    waiting = figures_of([request(added_ms=float(number)) for number in range(100, 0, -1)]).waiting
    assert (waiting.p50, waiting.p95, waiting.longest) == (50.0, 95.0, 100.0)
    assert figures_of([request(added_ms=7.0)]).waiting.p95 == 7.0


tokens = st.integers(0, 10**9)
entries = st.lists(
    st.builds(
        lambda usage, at, session, model, outcome, **counts: request(
            usage=usage, at=NOON + at, session=session, model=model, outcome=outcome, **counts
        ),
        usage=st.none() | st.builds(Usage, tokens, tokens, tokens, tokens, tokens),
        at=st.floats(-DAY * 99, DAY * 99),
        session=st.sampled_from([SESSION, OTHER_SESSION, ""]),
        model=st.sampled_from(["claude-opus-4-6", "claude-haiku-5-5", "gpt-5", "m", ""]),
        outcome=st.sampled_from(["rewritten", "observed", "nothing-to-do"]),
        conversation=st.sampled_from(["c1", "c2", ""]),
        follows=st.sampled_from(["c1", "c2", ""]),
        moved=st.booleans(),
        prefix_kept=st.booleans(),
        gap=st.none() | st.floats(0, 10_000),
        deployment=st.sampled_from(["one", "two"]),
    ),
    max_size=12,
)


def parts(figures: Figures) -> Iterator[list[float]]:
    for rows in (figures.days, figures.projects, figures.deployments):
        costs = [row.cost for row in rows]
        yield [
            sum(cost.requests for cost in costs),
            sum(cost.paid for cost in costs),
            sum(cost.without for cost in costs),
            sum(cost.removed for cost in costs),
        ]


@given(entries)
def test_every_table_adds_up_to_the_whole(made_up: Any) -> None:
    figures = figures_of(made_up)
    total = figures.total
    for part in parts(figures):
        assert part == pytest.approx([total.requests, total.paid, total.without, total.removed], rel=1e-6, abs=1e-3)
    for contents in (figures.tools, figures.kinds):
        assert sum(row.saved for row in contents) == pytest.approx(
            total.saved, rel=1e-6, abs=total.without * 1e-9 + 1e-3
        )
    assert sum(tally.requests for tally in figures.outcomes) == total.requests
    assert all(math.isfinite(number) for number in numbers(figures))

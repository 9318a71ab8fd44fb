"""The proof of the figures: a service that bills the same conversations with us and without."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.accounts import Account, Accounts
from billing.cache_health import Cause
from billing.calibration import Calibration, Factor
from billing.entry import Ending, Entry
from billing.prices import Ratios
from billing.usage import Usage
from tests.billing.entries import ENTRIES, entry
from tests.billing.service import FACTOR, LIFETIME, Result, Service, Talk

RATIOS = Ratios()


class Exact(Calibration):
    """Knows the factor from the start."""

    def factor(self, deployment: str, model: str = "") -> Factor:  # noqa: ARG002 - the same for all
        return Factor(FACTOR)


def accounts(talk: Talk, calibration: Calibration | None = None) -> list[Account]:
    books = Accounts(calibration or Exact())
    return [books.add(one) for one in talk.entries]


def sums(found: list[Account]) -> tuple[float, float]:
    return sum(one.paid or 0 for one in found), sum(one.without or 0 for one in found)


def plain_bill(talk: Talk) -> float:
    return sum(RATIOS.units(usage) for usage in talk.bills)


def _result(size: int, folded: int, stub: int) -> Result:
    """Divisible by three, so that the factor gives whole numbers."""
    folded = min(size - 1, folded)
    return Result(3 * size, 3 * folded, 3 * max(folded, size - stub))


RESULTS = st.builds(_result, st.integers(100, 2000), st.integers(0, 300), st.integers(10, 40))
STEPS = st.lists(st.tuples(st.sampled_from([1.0, 20.0, LIFETIME + 1, 900.0]), RESULTS), min_size=1, max_size=12)


@given(STEPS)
def test_the_bill_without_us_is_what_the_service_bills_without_us(steps: list[tuple[float, Result]]) -> None:
    """Old results are set aside where the cache has expired, and other conversations keep the head warm."""
    rewriting, plain = Service(), Service()
    talk, other = Talk(rewriting, plain), Talk(rewriting, plain, "other")
    for pause, result in steps:
        other.now = talk.now + pause - 0.5
        other.send(0.0, Result(300, 0, 0))
        talk.send(pause, result, sets_aside=pause > LIFETIME)
    paid, without = sums(accounts(talk))
    assert paid == pytest.approx(sum(RATIOS.units(one.usage) for one in talk.entries if one.usage))
    assert without == pytest.approx(plain_bill(talk), rel=1e-6)


@given(STEPS)
def test_without_a_rewrite_nothing_is_saved(steps: list[tuple[float, Result]]) -> None:
    talk = Talk(Service(), Service())
    for pause, result in steps:
        talk.send(pause, Result(result.size, 0, 0))
    paid, without = sums(accounts(talk))
    assert paid == pytest.approx(without) == pytest.approx(plain_bill(talk))


def test_setting_aside_while_the_cache_is_warm_counts_as_a_loss() -> None:
    talk = Talk(Service(), Service())
    for _ in range(5):
        talk.send(10.0, Result(3000, 300, 600))
    talk.send(10.0, Result(3000, 300, 600), sets_aside=True)
    found = accounts(talk)
    assert found[-1].health is not None
    assert found[-1].health.cause is Cause.OURS
    assert found[-1].saved < 0
    last = talk.bills[-1]
    assert found[-1].without == pytest.approx(RATIOS.units(last), rel=0.01)


def test_a_factor_that_is_learned_gives_the_same_bill() -> None:
    talk = Talk(Service(), Service())
    for number in range(30):
        talk.send(20.0, Result(1500 + 30 * number, 150, 1400))
    calibration = Calibration()
    accounts(talk, calibration)  # learns
    factor = calibration.factor("claude-made-up")
    assert factor.value == pytest.approx(FACTOR, rel=0.01)
    assert factor.samples == 30
    _, without = sums(accounts(talk, calibration))
    assert without == pytest.approx(plain_bill(talk), rel=0.01)


def test_an_answer_without_usage_costs_nothing() -> None:
    account = Accounts().add(entry(ending=Ending.REFUSED, status=429, removed=50))
    assert (account.paid, account.without, account.saved, account.health) == (None, None, 0.0, None)


def test_what_was_only_looked_at_saves_nothing() -> None:
    one = entry(outcome="observed", removed=100, usage=Usage(uncached=5, cache_write_5m=1000))
    account = Accounts(Exact()).add(one)
    assert (account.removed, account.observed, account.saved) == (0.0, 150.0, 0.0)


def test_a_service_that_charges_no_writes() -> None:
    one = entry(endpoint="responses", deployment="gpt-5", removed=100, usage=Usage(uncached=1000, output=10))
    account = Accounts(Exact()).add(one)
    assert account.paid == pytest.approx(1000 + 8 * 10)
    assert account.saved == pytest.approx(150)


def test_a_conversation_whose_beginning_is_not_in_the_ledger_is_estimated_from_the_request_itself() -> None:
    one = entry(follows="gone", removed=100, usage=Usage(cache_read=900, cache_write_5m=100))
    account = Accounts(Exact()).add(one)
    assert account.saved == pytest.approx(150 * (0.9 * 0.1 + 0.1 * 1.25))


def test_a_fork_goes_on_from_where_it_left() -> None:
    books = Accounts(Exact())
    books.add(entry(1.0, usage=Usage(cache_write_5m=1000)))
    books.add(entry(2.0, follows="talk", removed=100, usage=Usage(cache_read=1000, cache_write_5m=1000)))
    fork = entry(
        3.0,
        conversation="fork",
        follows="talk",
        prefix_kept=False,
        removed=100,
        usage=Usage(cache_read=2000, cache_write_5m=10),
    )
    assert books.add(fork).saved == pytest.approx(150 * 0.1)


def test_what_is_refused_costs_nothing_whatever_the_answer_says() -> None:
    refused = entry(ending=Ending.REFUSED, status=529, usage=Usage(uncached=1000), removed=50)
    books = Accounts(Exact())
    assert (books.add(refused).paid, books.add(replace(refused, follows="talk")).health) == (None, None)


@given(st.lists(ENTRIES, max_size=8), st.lists(st.sampled_from(["", "a", "b"]), min_size=16, max_size=16))
def test_whatever_stands_in_a_ledger_adds_up(entries: list[Entry], names: list[str]) -> None:
    """In whatever order; what is not a rewrite saves nothing, but for what it broke."""
    books = Accounts()
    for number, one in enumerate(entries):
        found = books.add(replace(one, conversation=names[2 * number], follows=names[2 * number + 1]))
        assert (found.paid is None) == (found.without is None) == (one.usage is None or one.ending is Ending.REFUSED)
        assert all(math.isfinite(value or 0.0) for value in (found.paid, found.without, found.saved, found.could_save))
        is_ours = found.health is not None and found.health.is_ours
        assert one.outcome == "rewritten" or is_ours or not found.saved

"""The bill without us is, request by request, the one of a service that never met us.

The factor from our tokens to the service's is given, so that nothing is left to chance: what differs would be an error
of the rule. `test_accounts` has what happens where the factor is learned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.accounts import Account, Accounts
from billing.cache_health import Cause
from billing.calibration import Calibration, Factor
from billing.prices import Ratios
from billing.usage import Usage
from tests.billing.entries import entry
from tests.billing.service import FACTOR, LIFETIME, Result, Service, Talk

RATIOS = Ratios()


class Exact(Calibration):
    """Knows the factor."""

    def factor(self, deployment: str, model: str = "") -> Factor:  # noqa: ARG002 - the same for all
        return Factor(FACTOR)


def both(**fields: object) -> Talk:
    return Talk(Service(**fields), Service(**fields))  # type: ignore[arg-type]


def accounts(talk: Talk) -> list[Account]:
    books = Accounts(Exact())
    return [books.add(one) for one in talk.entries]


def assert_exact(talk: Talk) -> None:
    """Each request's bill without us is the other service's."""
    found = accounts(talk)
    assert [one.without or 0.0 for one in found] == pytest.approx([RATIOS.units(bill) for bill in talk.bills], abs=1e-6)
    paid = [RATIOS.units(one.usage) if one.usage else 0.0 for one in talk.entries]
    assert [one.paid or 0.0 for one in found] == pytest.approx(paid)


def _result(size: int, folded: int, stub: int) -> Result:
    """Divisible by three, so that the factor gives whole numbers."""
    folded = min(size - 1, folded)
    return Result(3 * size, 3 * folded, 3 * max(folded, size - stub))


RESULTS = st.builds(_result, st.integers(300, 4000), st.integers(0, 900), st.integers(10, 40))
WARM, COLD = st.floats(1.0, 200.0), st.floats(LIFETIME + 1, 5000.0)

type Step = Callable[[Talk], None]


def _turn(pause: float, result: Result) -> Step:
    return lambda talk: talk.send(pause, result, sets_aside=pause > LIFETIME)


def _fork(kept: int, pause: float, result: Result) -> Step:
    return lambda talk: talk.fork(kept, pause, result, sets_aside=pause > LIFETIME)


def _cold_turn_without_setting_aside(pause: float, result: Result) -> Step:
    return lambda talk: talk.send(pause, result)


def _again(pause: float) -> Step:
    return lambda talk: talk.repeat(pause)


def _refused(pause: float) -> Step:
    return lambda talk: talk.is_refused(pause)


def _another_head(pause: float) -> Step:
    return lambda talk: talk.change_head(pause)


def _loss(_: None) -> Step:
    def lose(talk: Talk) -> None:
        talk.rewriting.forget()
        talk.plain.forget()

    return lose


STEPS = st.one_of(
    st.builds(_turn, WARM, RESULTS),
    st.builds(_turn, WARM, RESULTS),
    st.builds(_turn, COLD, RESULTS),
    st.builds(_cold_turn_without_setting_aside, COLD, RESULTS),
    st.builds(_fork, st.integers(1, 12), WARM, RESULTS),
    st.builds(_fork, st.integers(1, 12), COLD, RESULTS),
    st.builds(_again, WARM | COLD),
    st.builds(_refused, WARM),
    st.builds(_another_head, WARM),
    st.builds(_loss, st.none()),
)


@given(st.lists(STEPS, max_size=14), st.booleans(), st.booleans())
def test_whatever_a_conversation_goes_through(steps: list[Step], asks_hour: bool, has_company: bool) -> None:
    """Warm and cold, set aside when cold, forks, repetitions, refusals, another head, and a service that forgets."""
    talk = both(asks_hour=asks_hour)
    talk.send(5.0, Result(3000, 300, 2400))
    other = Talk(talk.rewriting, talk.plain, "other")  # keeps the head warm
    for step in steps:
        if has_company:
            other.now = talk.now
            other.send(0.0, Result(300, 0, 0))
        step(talk)
    assert_exact(talk)


@given(st.lists(st.tuples(WARM | COLD, RESULTS), min_size=1, max_size=14), st.integers(1, 6))
def test_a_service_that_looks_only_so_far_back(steps: list[tuple[float, Result]], looks_back: int) -> None:
    talk = both(looks_back=looks_back)
    for pause, result in steps:
        talk.send(pause, result, sets_aside=pause > LIFETIME)
    assert_exact(talk)


@given(st.lists(RESULTS, min_size=2, max_size=8), RESULTS, st.floats(1.0, 250.0))
def test_what_is_set_aside_in_a_warm_cache_is_a_loss(before: list[Result], result: Result, pause: float) -> None:
    """The bill shows it, since the service still finds the beginning of the conversation; and what comes after."""
    talk = both()
    for one in before:
        talk.send(20.0, one)
    talk.send(pause, result, sets_aside=True)
    wrong = len(talk.entries) - 1
    talk.send(20.0, result)
    talk.send(400.0, result)
    assert_exact(talk)
    found = accounts(talk)[wrong]
    if sum(one.aside - one.folded for one in before) > 1000:
        assert found.health is not None
        assert found.health.cause is Cause.OURS


def test_a_loss_is_below_zero() -> None:
    talk = both()
    for _ in range(5):
        talk.send(10.0, Result(30_000, 300, 600))
    talk.send(10.0, Result(3_000, 300, 600), sets_aside=True)
    assert_exact(talk)
    assert accounts(talk)[-1].saved < -1.1 * 4 * 29_000


@given(st.lists(RESULTS, min_size=1, max_size=8), WARM | COLD)
def test_switched_off_it_costs_what_it_costs(before: list[Result], pause: float) -> None:
    """At once, which breaks a warm cache, or when it is cold."""
    talk = both()
    for one in before:
        talk.send(20.0, one)
    talk.switch_off(pause)
    talk.send(20.0, before[0])
    assert_exact(talk)
    assert accounts(talk)[-1].saved == pytest.approx(0.0)


@given(st.lists(st.tuples(WARM, RESULTS), min_size=1, max_size=6), RESULTS, WARM, RESULTS)
def test_what_a_client_was_not_told_is_guessed_between_what_is_known(
    before: list[tuple[float, Result]], hidden: Result, pause: float, after: Result
) -> None:
    """The next request reads what the one in between left, of which no bill tells where it ended."""
    talk = both()
    for one in before:
        talk.send(*one)
    talk.is_cut_short(1.0, hidden)
    talk.send(pause, after)
    found = accounts(talk)
    assert [one.without or 0.0 for one in found[:-1]] == pytest.approx([RATIOS.units(bill) for bill in talk.bills[:-1]])
    removed = hidden.folded + after.folded
    assert found[-1].without == pytest.approx(RATIOS.units(talk.bills[-1]), abs=1.15 * removed + 1e-6)


def test_a_conversation_that_does_not_mark_its_messages_saves_the_price_of_uncached_tokens() -> None:
    """Its head is read, which holds nothing that was removed."""
    talk = both()
    talk.send(5.0, Result(30_000, 3_000, 3_000))
    talk.send(5.0, Result(30_000, 3_000, 3_000))

    def unmarked(usage: Usage | None, *, is_first: bool) -> Usage | None:
        if usage is None:
            return None
        rest = usage.input - 2000
        return Usage(rest, 0, 2000, 0, usage.output) if is_first else Usage(rest, 2000, 0, 0, usage.output)

    talk.entries = [replace(one, usage=unmarked(one.usage, is_first=not at)) for at, one in enumerate(talk.entries)]
    found = accounts(talk)
    assert [one.saved for one in found] == pytest.approx([0.0, 3_000.0, 6_000.0])


def test_a_factor_that_changes_meanwhile_does_not_make_old_text_new() -> None:
    """What was removed before is counted anew with the factor of now."""

    class Learning(Exact):
        value = 1.0

        def factor(self, deployment: str, model: str = "") -> Factor:  # noqa: ARG002 - the same for all
            return Factor(self.value)

    calibration = Learning()
    books = Accounts(calibration)
    talk = both()
    for _ in range(3):
        talk.send(5.0, Result(30_000, 15_000, 15_000))
    for one in talk.entries[:-1]:
        books.add(one)
    calibration.value = FACTOR
    assert books.add(talk.entries[-1]).without == pytest.approx(RATIOS.units(talk.bills[-1]))


def test_observing_tells_what_would_be_saved_and_saves_nothing() -> None:
    """The other way round: what is sent is the client's own, and the bill that is estimated is ours."""
    talk = both()
    for number in range(6):
        talk.send(400.0 if number == 3 else 20.0, Result(6_000, 600, 5_400), sets_aside=number == 3)
    books = Accounts(Exact())
    rewritten = accounts(talk)
    observed = [
        books.add(replace(one, usage=bill, moved=False, outcome="observed" if one.changes else "nothing-to-do"))
        for one, bill in zip(talk.entries, talk.bills, strict=True)
    ]
    assert [one.saved for one in observed] == [0.0] * len(observed)
    assert [one.could_save for one in observed] == pytest.approx([one.saved for one in rewritten])


def test_a_head_that_others_share_holds_nothing_that_was_removed() -> None:
    """Also where the conversation was first seen with results, so that it is not known where its head ends."""
    books = Accounts(Exact())
    books.add(entry(1.0, results=5, removed=3_000, usage=Usage(cache_write_5m=20_000)))
    late = entry(
        500.0,
        follows="talk",
        gap=499.0,
        is_cold=True,
        removed=3_000,
        usage=Usage(cache_read=2_000, cache_write_5m=18_500),
    )
    assert books.add(late).saved == pytest.approx(3_000 * FACTOR * 1.25)

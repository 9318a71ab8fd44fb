from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from billing.accounts import Account, Accounts
from billing.evidence import LEAST_SESSIONS, Comparison, Evidence, compare
from billing.usage import Usage
from tests.billing.entries import entry


def accounts(sessions: int, *, holdout: bool, tokens: int, errors: int = 1, turns: int = 5) -> Iterator[Account]:
    """Sessions of some requests with about so many uncached tokens each."""
    books = Accounts()
    chance = random.Random(f"{holdout} {tokens}")
    for number in range(sessions):
        name = f"{'left' if holdout else 'treated'} {number}"
        for turn in range(turns):
            yield books.add(
                entry(
                    1000.0 * number + turn,
                    conversation=name,
                    session=name,
                    holdout=holdout,
                    results=10 * (turn + 1),
                    errors=errors * (turn + 1),
                    rereads=turn,
                    usage=Usage(uncached=round(tokens * chance.uniform(0.8, 1.2)), output=50),
                )
            )


def both(tokens: int, left: int, sessions: int = LEAST_SESSIONS, **treated: int) -> Evidence:
    found = compare([
        *accounts(sessions, holdout=False, tokens=tokens, **treated),
        *accounts(sessions, holdout=True, tokens=left),
    ])  # fmt: skip
    assert found is not None
    return found


def named(evidence: Evidence, name: str) -> Comparison:
    (found,) = [one for one in evidence.comparisons if one.name == name]
    return found


def test_without_a_holdout_there_is_nothing_to_compare() -> None:
    assert compare(accounts(LEAST_SESSIONS, holdout=False, tokens=100)) is None


def test_a_difference_is_told_with_its_interval() -> None:
    found = named(both(750, 1000), "input units a request")
    assert found.treated == pytest.approx(750, rel=0.02)
    assert found.holdout == pytest.approx(1000, rel=0.02)
    assert found.interval is not None
    assert found.interval.low < 0.75 < found.interval.high < 1.0


def test_where_there_is_none_the_interval_has_no_difference_in_it() -> None:
    found = named(both(1000, 1001), "input units a request")
    assert found.interval is not None
    assert found.interval.low <= 1.0 <= found.interval.high


def test_what_would_be_worse_shows() -> None:
    assert named(both(1000, 1000, errors=2), "failed results, of all").ratio == pytest.approx(2.0)
    assert named(both(1000, 1000, turns=10), "requests a session").ratio == pytest.approx(2.0)


def test_each_conversation_counts_what_its_last_request_has_in_all() -> None:
    found = named(both(1000, 1000), "files read again, of all results")
    assert found.treated == pytest.approx(4 / 50)


def test_too_few_sessions_say_nothing() -> None:
    evidence = both(750, 1000, sessions=LEAST_SESSIONS - 1)
    assert not evidence.is_enough
    assert (evidence.treated.sessions, evidence.holdout.turns) == (LEAST_SESSIONS - 1, 5 * (LEAST_SESSIONS - 1))


def test_forks_belong_to_the_conversation_that_they_left() -> None:
    books = Accounts()
    usage = Usage(uncached=10)
    found = compare([
        books.add(entry(1.0, conversation="a", holdout=True, usage=usage)),
        books.add(entry(2.0, conversation="b", follows="a", holdout=True, usage=usage)),
        books.add(entry(3.0, conversation="c", follows="b", holdout=True, usage=usage)),
        books.add(entry(4.0, conversation="d", holdout=True, usage=usage)),
    ])  # fmt: skip
    assert found is not None
    assert (found.holdout.sessions, found.holdout.turns) == (2, 4)


def test_what_never_happened_has_no_ratio() -> None:
    assert named(both(1000, 1000, turns=1), "files read again, of all results").treated == 0.0
    found = compare([
        *accounts(LEAST_SESSIONS, holdout=False, tokens=10),
        *accounts(LEAST_SESSIONS, holdout=True, tokens=10, turns=1),
    ])  # fmt: skip
    assert found is not None
    none = named(found, "files read again, of all results")
    assert (none.ratio, none.interval) == (None, None)


def test_the_same_ledger_gives_the_same_figures() -> None:
    assert both(750, 1000) == both(750, 1000)


@pytest.mark.slow
def test_many_sessions_are_drawn_in_bunches_and_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("billing.evidence._RESAMPLES", 400)
    few, many = (named(both(750, 1000, sessions=count), "input units a request") for count in (400, 2_000))
    assert few.interval is not None
    assert many.interval is not None
    assert many.ratio == pytest.approx(0.75, rel=0.01)
    width, narrow = (one.high - one.low for one in (few.interval, many.interval))
    assert narrow == pytest.approx(width / 5**0.5, rel=0.2)


def compared(*treated: Account) -> int:
    """How many sessions count beside one that was left alone at 1000."""
    left = Accounts().add(entry(1000.0, conversation="left", holdout=True, usage=Usage(uncached=10)))
    found = compare([*treated, left])
    assert found is not None
    return found.treated.sessions


def one(at: float = 2000.0, conversation: str = "a", **fields: Any) -> Account:
    return Accounts().add(entry(at, conversation=conversation, session="s", usage=Usage(uncached=10), **fields))


def test_what_cannot_be_compared_does_not_count() -> None:
    assert compared(one()) == 1
    assert compared(one(999.0)) == 0  # when nothing was left alone yet
    assert compared(one(mode="observe", outcome="observed")) == 0
    assert compared(one(), one(2001.0, mode="off", outcome="off")) == 0  # switched off in the middle
    assert compared(one(), one(2001.0, "b", holdout=True)) == 0  # a session is in one arm, or in none


def test_where_nothing_was_done_to_either_arm_there_is_nothing_to_compare() -> None:
    held = replace(one().entry, holdout=True, mode="observe")
    assert compare([Accounts().add(held)]) is None

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.cache_health import Cause
from billing.entry import Ending
from local_site.words import CAUSES, amount, money, percent, things, what_was_done
from tests.local_site.accounts import account


def test_every_cause_has_words() -> None:
    assert set(CAUSES) == set(Cause)


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0"), (-0.2, "0"), (9_999, "9,999"), (12_345, "12.3 k"), (-12_345, "-12.3 k"), (4_560_000, "4.56 M"),
     (999_999_999, "1,000 M"), (2e9, "2.00 G"), (5e13, "50,000 G")],
)  # fmt: skip
def test_amounts(value: float, said: str) -> None:
    assert amount(value) == said


@given(st.floats(-1e12, 1e12))
def test_an_amount_is_short_and_near(value: float) -> None:
    said = amount(value)
    number, _, letter = said.partition(" ")
    read = float(number.replace(",", "")) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[letter]
    assert math.isclose(read, value, rel_tol=0.006, abs_tol=0.5)
    assert len(said) <= 10


def test_money_percent_and_things() -> None:
    assert money(1234.5, "USD") == "1,234.50 USD"
    assert money(0.01234, "EUR") == "0.0123 EUR"
    assert money(0, "USD") == "0.00 USD"
    assert percent(0.1234) == "12.3 %"
    assert [things(number, "request") for number in (0, 1, 2_000)] == ["0 requests", "1 request", "2,000 requests"]


def test_what_was_done() -> None:
    assert what_was_done(account()) == "made smaller"
    assert what_was_done(account(set_aside=1, recalled=2)) == (
        "made smaller; 1 old result set aside; 2 results brought back"
    )
    assert what_was_done(account(ending=Ending.CUT)) == "made smaller; the answer broke off"
    assert what_was_done(account(status=429, ending=Ending.REFUSED, outcome="holdout", usage=None)) == (
        "left alone, for comparison; the service refused it (429)"
    )
    assert what_was_done(account(Cause.EXPIRED, lost=3)) == (
        "made smaller; cache missed: the pause was longer than the service keeps a cache"
    )
    assert what_was_done(account(Cause.HIT)) == "made smaller"
    assert what_was_done(account(outcome="unheard-of")) == "unheard-of"

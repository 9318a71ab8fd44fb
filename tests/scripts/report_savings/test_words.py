from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.entry import Ending
from report_savings.words import ENDINGS, amount, count, duration, ending, money, ms, percent, visible


def test_every_ending_has_words_and_what_has_none_stands_for_itself() -> None:
    assert set(ENDINGS) == set(Ending)
    assert ending("cut") == ENDINGS["cut"]
    assert ending("of-a-later-version") == "of-a-later-version"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (-0.2, "0"), (9_999, "9,999"), (12_345, "12.3k"), (-4_560_000, "-4.56M"), (123_456, "123k")],
)
def test_amounts(value: float, shown: str) -> None:
    assert amount(value) == shown


@pytest.mark.parametrize(
    ("value", "decimals", "shown"),
    [
        (0.0, None, "0.00 EUR"),
        (1234.5, None, "1,234.50 EUR"),
        (0.0123, None, "0.012 EUR"),
        (-0.5, None, "-0.50 EUR"),
        (-0.00001, 2, "0.00 EUR"),
    ],
)
def test_money(value: float, decimals: int | None, shown: str) -> None:
    assert money(value, "EUR", decimals) == shown


def test_shares_times_and_counts() -> None:
    assert (percent(0.1234), percent(-0.0001), percent(-0.5), percent(None)) == ("12.3%", "0.0%", "-50.0%", "-")
    assert (ms(4.04), ms(123.4), ms(None)) == ("4.0 ms", "123 ms", "-")
    assert (count(1, "request"), count(1200, "request"), count(1200)) == ("1 request", "1,200 requests", "1,200")


def test_pauses() -> None:
    assert [duration(seconds) for seconds in (0.4, 45, 60, 330, 7200)] == ["0.4 s", "45 s", "1 min", "5.5 min", "2 h"]


@given(st.text())
def test_nothing_that_is_shown_steers_a_terminal(text: str) -> None:
    assert visible(text).isprintable()
    assert len(visible(text)) == len(text)


@given(st.floats(-1e15, 1e15))
def test_an_amount_is_near_what_it_says(value: float) -> None:
    number = amount(value).replace(",", "")
    said = float(number.rstrip("kMG")) * {"k": 1e3, "M": 1e6, "G": 1e9}.get(number[-1], 1)
    assert abs(said - value) <= max(0.5, abs(value) * 0.006)

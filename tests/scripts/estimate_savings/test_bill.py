from __future__ import annotations

from typing import Any

import pytest

from estimate_savings.bill import Bill, Segment, Usage, place


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"input_tokens": 3}, Usage(plain=3)),
        ({"cache_creation_input_tokens": 5, "cache_read_input_tokens": 7}, Usage(write_5m=5, read=7)),
        # What does not say for how long is written for five minutes.
        (
            {"cache_creation_input_tokens": 5, "cache_creation": {"ephemeral_1h_input_tokens": 0}},
            Usage(write_5m=5),
        ),
        ({"cache_creation_input_tokens": 5, "cache_creation": {"ephemeral_1h_input_tokens": 4}}, Usage(0, 1, 4)),
        ({"cache_creation": {"ephemeral_1h_input_tokens": 4}}, Usage(write_1h=4)),
        ({"input_tokens": 0, "output_tokens": 9}, None),
        ({"input_tokens": None, "cache_creation": 3, "cache_read_input_tokens": "7"}, None),
        ({"input_tokens": -4, "cache_read_input_tokens": 1.5}, None),
        (None, None),
        ([], None),
    ],
)
def test_usage_is_read_from_what_the_service_said(given: Any, expected: Usage | None) -> None:
    assert Usage.read_from(given) == expected


def test_units() -> None:
    assert Usage(plain=10, write_5m=100, write_1h=1000, read=10_000).units == 10 + 125 + 2000 + 1000


@pytest.mark.parametrize(
    ("start", "end", "price"),
    [
        (0, 1000, 0.1),  # from the cache
        (1000, 1200, 1.4),  # written: of 200, 160 for five minutes and 40 for an hour
        (1200, 1300, 1.0),  # the rest
        (900, 1100, (100 * 0.1 + 100 * 1.4) / 200),
        (0, 1300, (100 + 280 + 100) / 1300),
    ],
)
def test_the_price_at_a_position(start: float, end: float, price: float) -> None:
    usage = Usage(plain=100, write_5m=160, write_1h=40, read=1000)
    assert usage.price_between(start, end) == pytest.approx(price)


def test_what_is_new_stands_between_the_ends_of_two_prompts() -> None:
    assert place([Segment(0, 1000)], before=1000, total=1500, likely=9) == Segment(1000, 1500)


def test_a_prompt_that_grew_by_too_little_moves_what_was_before() -> None:
    segments = [Segment(0, 400), Segment(400, 1000)]
    assert place(segments, before=1000, total=990, likely=50) == Segment(940, 990)
    assert segments == [Segment(0, 400), Segment(340, 940)]


def test_a_prompt_that_was_cut_holds_nothing_earlier() -> None:
    segments = [Segment(0, 400), Segment(400, 1000)]
    assert place(segments, before=1000, total=300, likely=50) == Segment(0, 300)
    assert segments == [Segment(0, 0), Segment(0, 0)]


def test_no_place_begins_before_the_prompt() -> None:
    segments = [Segment(0, 400), Segment(400, 1000)]
    assert place(segments, before=1000, total=590, likely=10) == Segment(580, 590)
    assert segments == [Segment(0, 400), Segment(0, 580)]


def test_a_bill_adds_up() -> None:
    bill = Bill()
    bill.add(Usage(1, 2, 3, 4))
    bill.add(Usage(10, 20, 30, 40))
    whole = Bill(1, Usage(plain=100))
    whole.merge(bill)
    assert whole == Bill(3, Usage(111, 22, 33, 44))


@pytest.mark.parametrize(
    ("usage", "start", "expected"),
    [
        (Usage(plain=3, write_5m=10, read=100), 40.5, Usage(plain=3, write_5m=70, read=40)),
        (Usage(write_5m=1, write_1h=9, read=100), 0, Usage(write_5m=1, write_1h=109)),
        (Usage(write_5m=10, read=100), 100, Usage(write_5m=10, read=100)),
    ],
)
def test_what_is_no_longer_in_the_cache_is_written(usage: Usage, start: float, expected: Usage) -> None:
    assert usage.written_from(start) == expected
    assert usage.total == expected.total


def test_what_a_written_token_costs() -> None:
    assert Usage(read=10).write_price == 1.25
    assert Usage(write_1h=10).write_price == 2
    assert Usage(write_5m=10, write_1h=5).write_price == 1.5


def test_one_more_call_is_read_written_and_carried() -> None:
    usage = Usage(write_5m=1000, read=9000)
    assert usage.units_of_one_more_call(0) == 1000 + 750 + 1500 * 1.25
    assert usage.units_of_one_more_call(10) - usage.units_of_one_more_call(0) == pytest.approx(1500)

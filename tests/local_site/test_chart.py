from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_site import Point
from local_site.chart import chart, svg

NOW = 1_800_000_030.0
MINUTE = 1_800_000_000


def _points(*minutes_ago: int) -> list[Point]:
    return [Point(MINUTE - ago * 60, requests=1, paid=100.0, saved=50.0) for ago in sorted(minutes_ago, reverse=True)]


@pytest.mark.parametrize(
    ("oldest", "minutes", "bars"),
    [(0, 1, 60), (59, 1, 60), (60, 5, 72), (359, 5, 72), (360, 20, 72), (1_439, 20, 72), (9_999, 20, 72)],
)
def test_how_far_it_goes_back(oldest: int, minutes: int, bars: int) -> None:
    shown = chart(_points(oldest, 0), NOW)
    assert (shown.minutes, len(shown.bars)) == (minutes, bars)
    assert shown.bars[-1].at <= NOW < shown.bars[-1].at + minutes * 60


def test_nothing_yet() -> None:
    shown = chart([], NOW)
    assert shown.is_empty
    assert shown.top == 1.0
    assert "<rect" not in svg(shown, "x")


def test_minutes_are_added_up() -> None:
    shown = chart(_points(100, 3, 2, 1, 0), NOW)
    assert sum(bar.requests for bar in shown.bars) == 5
    assert max(bar.paid for bar in shown.bars) > 100
    assert shown.bars[-1].at % 300 == 0


@given(
    st.lists(
        st.builds(Point, st.integers(0, 1_600).map(lambda ago: MINUTE - ago * 60), st.just(1), paid=st.floats(0, 1e9),
                  saved=st.floats(-1e9, 1e9)),
        max_size=40,
        unique_by=lambda point: point.at,
    )
)  # fmt: skip
def test_bars_stand_in_the_picture_and_are_as_high_as_what_they_show(points: list[Point]) -> None:
    shown = chart(sorted(points, key=lambda point: point.at), NOW)
    assert len({later.at - earlier.at for earlier, later in zip(shown.bars, shown.bars[1:], strict=False)}) == 1
    picture = ET.fromstring(svg(shown, "a b"))
    assert picture.get("aria-labelledby") == "a b"
    heights = {"paid": 0.0, "saved": 0.0}
    for bar in picture.iter("rect"):
        x, y, width, height = (float(bar.get(name) or "nan") for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + width <= 1000
        assert -0.01 <= y <= y + height <= 200.02
        heights[bar.get("class") or ""] += height
    assert heights["paid"] == pytest.approx(sum(bar.paid for bar in shown.bars) / shown.top * 200, abs=1)
    saved = sum(max(0.0, bar.saved) for bar in shown.bars)
    assert heights["saved"] == pytest.approx(saved / shown.top * 200, abs=1)


def test_what_cost_more_has_no_bar_above() -> None:
    picture = svg(chart([Point(MINUTE, 1, paid=10.0, saved=-5.0)], NOW), "x")
    assert picture.count("<rect") == 1


@pytest.mark.parametrize(
    ("paid", "top"), [(1, 1), (1.5, 2), (2, 2), (3, 3), (4.1, 6), (7, 8), (9, 10), (10, 10), (11, 20), (999, 1_000)]
)
def test_the_scale_ends_at_a_round_figure(paid: float, top: float) -> None:
    assert chart([Point(MINUTE, 1, paid=paid)], NOW).top == top

from __future__ import annotations

from bookkeeper import Warm
from configuring.possible_values import Mode
from mode_switch import what_follows

WARM = [Warm(1300.0, 40_000), Warm(1100.0, 60_000)]


def test_off_at_once_says_what_it_costs() -> None:
    line = what_follows(Mode.OFF, WARM, at_once=True, now=1000.0)
    assert "2 conversations will pay anew" in line
    assert "100,000 tokens" in line
    assert "115,000 input tokens" in line


def test_off_says_how_long_conversations_go_on() -> None:
    line = what_follows(Mode.OFF, WARM[:1], at_once=False, now=1000.0)
    assert line.startswith("Off, for new conversations at once. 1 conversation will go on as before")
    assert "in 5 min" in line


def test_other_modes_never_hold_at_once_for_what_is_warm() -> None:
    assert "go on as before" in what_follows(Mode.LOSSLESS, WARM, at_once=True, now=1000.0)


def test_where_nothing_is_warm_it_holds_at_once() -> None:
    assert "holds at once" in what_follows(Mode.OFF, [], at_once=True, now=1000.0)

from __future__ import annotations

import time

import pytest

from conversations import steady_clock


def test_it_tells_the_time() -> None:
    assert abs(steady_clock.now() - time.time()) < 3600  # unless somebody sets the clock during the tests


@pytest.mark.parametrize("jump", [-1e9, -600.0, 600.0, 1e9])
def test_it_does_not_jump(jump: float, monkeypatch: pytest.MonkeyPatch) -> None:
    before = steady_clock.now()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    assert 0 <= steady_clock.now() - before < 300


@pytest.mark.parametrize("clock", [None, getattr(time, "CLOCK_MONOTONIC", None)])
def test_it_goes_on(clock: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steady_clock, "_CLOCK", clock)
    first = steady_clock.now()
    time.sleep(0.01)
    assert steady_clock.now() > first

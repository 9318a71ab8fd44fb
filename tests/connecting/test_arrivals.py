from __future__ import annotations

import asyncio
import logging

import pytest

from connecting.arrivals import NOBODY_SECONDS, ONLY_OTHERS_SECONDS, Arrivals
from notices import Notices


def _arrivals(*, is_on: bool = True) -> Arrivals:
    return Arrivals(Notices("ca.pem"), lambda: is_on, lambda: "HTTPS_PROXY=http://127.0.0.1:8080")


def test_says_where_to_come_to_when_nobody_comes(caplog: pytest.LogCaptureFixture) -> None:
    _arrivals().nobody_came()
    assert "HTTPS_PROXY=http://127.0.0.1:8080 and NODE_EXTRA_CA_CERTS=ca.pem" in caplog.text


async def test_says_so_when_only_others_come(caplog: pytest.LogCaptureFixture) -> None:
    arrivals = _arrivals()
    arrivals.other()
    arrivals.other()
    arrivals.only_others()
    arrivals.nobody_came()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "but 2 connection(s)" in caplog.text


async def test_says_nothing_once_foundry_is_used_or_where_it_is_off(caplog: pytest.LogCaptureFixture) -> None:
    arrivals = _arrivals()
    arrivals.other()
    arrivals.foundry()
    for one in (arrivals, _arrivals(is_on=False)):
        one.only_others()
        one.nobody_came()
    assert not caplog.records


async def test_waits_before_it_says_anything_and_stops_with_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)
    arrivals = _arrivals()
    arrivals.watch()
    arrivals.other()
    arrivals.other()
    assert [timer.when() - now for timer in arrivals._timers] == pytest.approx([NOBODY_SECONDS, ONLY_OTHERS_SECONDS])
    arrivals.stop()
    assert all(timer.cancelled() for timer in arrivals._timers)

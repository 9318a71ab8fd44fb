from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from billing.accounts import Account
from billing.cache_health import Cause
from billing.entry import Change, Ending
from billing.prices import Prices
from billing.usage import Usage
from local_site import Live
from local_site.live import BUCKETS, OTHERS, Point
from tests.local_site.accounts import account


def _sums(*accounts: Account) -> dict[str, Any]:
    live = Live()
    for one in accounts:
        live.add(one)
    told: dict[str, Any] = json.loads(json.dumps(live.as_dict()))
    return told


def test_nothing_yet() -> None:
    told = _sums()
    assert told["requests"] == told["rewritten"] == told["tokens_removed"] == told["units_saved"] == 0
    assert told["unchanged"] == told["deployments"] == told["money"] == {}


def test_the_keys_that_others_read() -> None:
    keys = {"requests", "rewritten", "unchanged", "tokens_removed", "bytes_removed", "tokens_observed"}
    assert keys | {"units_paid", "units_saved", "since"} <= _sums().keys()


def test_what_was_done() -> None:
    told = _sums(account(), account(outcome="failed"), account(outcome="nothing-to-do", changes=()), account())
    assert (told["requests"], told["rewritten"]) == (4, 2)
    assert told["unchanged"] == {"failed": 1, "nothing-to-do": 1}
    assert told["outcomes"] == {"failed": 1, "nothing-to-do": 1, "rewritten": 2}
    assert told["tokens_before"] - told["tokens_after"] == told["tokens_removed"] == 5_000
    assert told["bytes_removed"] == 20_000
    assert told["endings"] == {"complete": 4}


def test_what_was_refused_saves_nothing_and_counts_as_a_request() -> None:
    told = _sums(
        account(status=429, usage=None, ending=Ending.REFUSED), account(status=0, usage=None, ending=Ending.UNREACHED)
    )
    assert (told["requests"], told["rewritten"], told["tokens_removed"], told["bytes_removed"]) == (2, 2, 0, 0)
    assert told["endings"] == {"refused": 1, "unreached": 1}
    assert told["without_usage"] == 0


def test_what_would_have_been_removed() -> None:
    told = _sums(account(outcome="observed"), replace(account(outcome="observed"), could_save=700.0))
    assert (told["tokens_observed"], told["tokens_removed"], told["units_observed"]) == (5_000, 0, 700)


def test_what_was_billed() -> None:
    hour = account(deployment="b", usage=Usage(cache_write_1h=7, output=1))
    told = _sums(account(deployment="a"), account(deployment="a"), hour, account(usage=None))
    assert (told["units_paid"], told["units_without"], told["units_saved"]) == (12_000, 16_500, 4_500)
    assert told["without_usage"] == 1
    assert told["deployments"]["a"]["requests"] == 2
    assert told["deployments"]["a"]["saved"] == 3_000
    assert told["deployments"]["a"]["billed"]["cache_read"] == 18_000
    assert told["deployments"]["b"]["billed"]["cache_write_1h"] == 7


def test_money(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    row = 'currency = "EUR"\n[[price]]\nmatch = "made-up"\ninput = 10.0\ncache_read = 1.0\noutput = 50.0\n'
    file.write_text(row, encoding="utf-8")
    live = Live(Prices.load(file))
    live.add(account(model="made-up-5"))
    live.add(account(model="unheard-of", deployment="unheard-of"))
    told = live.as_dict()
    assert told["money"] == {"EUR": {"paid": 0.04, "without": 0.055, "saved": 0.015}}
    assert told["without_price"] == 1
    assert told["prices_of"] == ""


def test_the_day_of_the_newest_price() -> None:
    assert _sums(account())["prices_of"] >= "2026-01-01"


def test_the_cache() -> None:
    told = _sums(account(Cause.HIT), account(Cause.OURS, lost=7), account(Cause.OURS, lost=3), account())
    assert told["cache"] == {"hit": 1, "ours": 2}
    assert told["cache_lost"] == {"hit": 0, "ours": 10}


@given(st.lists(st.floats(0, 2_000), max_size=50))
def test_added_times_are_counted_up_to_each_limit(times: list[float]) -> None:
    added = _sums(*(account(added_ms=time) for time in times))["added_ms"]
    assert added["count"] == len(times)
    assert added["up_to"].pop("any") == len(times)
    assert list(added["up_to"]) == [f"{limit:g}" for limit in BUCKETS]
    for limit, count in added["up_to"].items():
        assert count == sum(time <= float(limit) for time in times)


def test_the_last_requests() -> None:
    live = Live()
    for number in range(250):
        live.add(account(deployment=f"{number}"))
    assert [one.entry.deployment for one in live.recent()] == [f"{number}" for number in range(50, 250)]


def test_deployments_do_not_grow_without_bound() -> None:
    deployments = _sums(*(account(deployment=f"{number}" + "x" * 10_000) for number in range(150)))["deployments"]
    assert len(deployments) == 31
    assert deployments[OTHERS]["requests"] == 120
    assert max(map(len, deployments)) == 100
    assert sum(one["requests"] for one in deployments.values()) == 150


def test_minutes() -> None:
    live = Live()
    for at in (659.9, 600.0, 660.0):
        live.add(account(at=at))
    live.add(account(at=660.0, outcome="failed", usage=None))
    live.add(account(at=660.0, status=500, usage=None))
    assert live.history() == (
        Point(600, 2, 2, 5_000, 8_000, 3_000),
        Point(660, 3, 2, 2_500, 4_000, 1_500),
    )


def test_minutes_go_back_a_day() -> None:
    live = Live()
    for minute in range(1_500):
        live.add(account(at=minute * 60.0))
    history = live.history()
    assert (len(history), history[0].at, history[-1].at) == (1_440, 60 * 60, 1_499 * 60)


_AMOUNTS = st.integers(0, 10_000)


@given(st.lists(st.tuples(st.floats(0, 80_000), _AMOUNTS, _AMOUNTS), max_size=30))
def test_the_minutes_add_up_to_the_sums(made_up: list[tuple[float, int, int]]) -> None:
    live = Live()
    for at, before, after in made_up:
        live.add(account(at=at, changes=(Change("Read", "x", 1, before, after),)))
    history, told = live.history(), live.as_dict()
    assert [point.at for point in history] == sorted({point.at for point in history})
    assert sum(point.requests for point in history) == told["requests"]
    assert sum(point.tokens_removed for point in history) == told["tokens_removed"]
    assert sum(point.paid for point in history) == told["units_paid"]
    assert sum(point.saved for point in history) == told["units_saved"]

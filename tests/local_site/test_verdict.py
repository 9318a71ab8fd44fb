from __future__ import annotations

from typing import Any

import pytest

from billing.accounts import Account
from billing.entry import Ending
from local_site.verdict import State, judge
from tests.local_site.accounts import account

REFUSED: dict[str, Any] = {"status": 401, "usage": None, "ending": Ending.REFUSED}
UNREACHED: dict[str, Any] = {"status": 0, "usage": None, "ending": Ending.UNREACHED}


def _judge(*recent: Account, mode: str = "balanced", **stats: object) -> tuple[State, str, tuple[str, ...]]:
    verdict = judge({"mode": mode, **stats}, recent)
    return verdict.state, verdict.headline, verdict.lines


def test_nobody_has_come() -> None:
    state, headline, (line,) = _judge()
    assert state is State.WAITING
    assert "nothing for Foundry" in headline
    assert "HTTPS_PROXY" in line


@pytest.mark.parametrize(
    ("recent", "headline"),
    [
        ([account()], "Healthy: the last request was made smaller."),
        ([account(), account()], "Healthy: 2 of the last 2 requests were made smaller."),
        ([account(), account(outcome="nothing-to-do")], "Healthy: 1 of the last 2 requests was made smaller."),
        (
            [account(outcome="nothing-to-do")],
            "Healthy: the last request had nothing that could be written in fewer tokens.",
        ),
        ([account(**REFUSED)] * 5 + [account()], "Healthy: 6 of the last 6 requests were made smaller."),
    ],
)
def test_healthy(recent: list[Account], headline: str) -> None:
    assert _judge(*recent) == (State.HEALTHY, headline, ())


def test_passing_through_and_why() -> None:
    recent = [account(outcome="streamed"), account(outcome="unknown-format"), account(outcome="streamed")]
    state, headline, lines = _judge(*recent)
    assert (state, headline) == (State.PASSING, "Passing through: the last 3 requests went out as they came.")
    assert lines[0].startswith("2 requests of the last 3 passed through: it was sent on")
    assert lines[1] == "1 request of the last 3 passed through: its path is not known."


def test_what_passes_is_told_of_where_others_are_made_smaller() -> None:
    state, _, lines = _judge(account(), account(outcome="failed"))
    assert state is State.HEALTHY
    assert lines == ("1 request of the last 2 passed through: the addon made a mistake.",)


def test_only_the_last_requests_count() -> None:
    assert _judge(account(), *[account(outcome="streamed")] * 20)[0] is State.PASSING
    assert _judge(*[account(outcome="streamed")] * 20, *[account()] * 20)[2] == ()


def test_modes() -> None:
    assert _judge(account(), mode="off")[0] is State.OFF
    assert _judge(mode="off")[0] is State.OFF
    assert _judge(account(outcome="observed"), mode="observe")[0] is State.OBSERVING
    assert _judge(account(outcome="streamed"), mode="observe")[0] is State.PASSING
    assert _judge(mode="observe")[0] is State.WAITING


def test_the_service_does_not_answer() -> None:
    assert _judge(account(**UNREACHED))[:2] == (State.FAILING, "Failing: Foundry could not be reached from here.")
    refused = [account(), *[account(**REFUSED)] * 2, account(**REFUSED | {"status": 429})]
    assert _judge(*refused)[:2] == (State.FAILING, "Failing: the service refuses requests (status 401, 429).")
    assert _judge(account(), account(**REFUSED), account(**REFUSED))[0] is State.HEALTHY


def test_what_else_is_to_be_known() -> None:
    assert _judge(account(), ledger_lost=2, problems=["One.", 2, "Three."])[2] == (
        "2 requests could not be written into the ledger; the report will lack them.",
        "One.",
        "Three.",
    )
    assert _judge(account(), problems="not a list")[2] == ()


def test_as_json() -> None:
    assert judge({"mode": "off"}, []).as_dict() == {
        "state": "off",
        "headline": "Off: requests pass through as they are.",
        "lines": [],
    }

"""What the ledger says was billed is what the service billed, to the token, whatever the client and the network do."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from billing.accounts import Accounts
from billing.entry import Ending
from billing.usage import Usage
from demo.answers import Answer, rate_limited
from demo.prompt_cache import PromptCache
from demo.stand_in import Request, Script, StandIn
from tests.e2e.ahead import ahead
from tests.e2e.claude_code import NEEDS_CLIENT
from tests.e2e.noted import ledger
from tests.e2e.route import AHEAD, Route, proxied
from tests.e2e.scripted import bash, session, sub_agents
from tests.e2e.set_aside_sessions import LIFETIME, LOOKED, PAUSE, WARM, by_turn, look_around

pytestmark = [pytest.mark.e2e, NEEDS_CLIENT]


@contextmanager
def billed(
    script: Script, directory: Path, lifetime: float | None = None, *, addon: bool = True, **options: str
) -> Iterator[Route]:
    """A route to a stand-in whose prompt cache lives so many seconds by the clock at which the proxy looks, too."""
    directory.mkdir(exist_ok=True)
    cache = PromptCache(lifetime, lambda: time.monotonic() + ahead(way.clock))
    with (
        StandIn(script, cache=cache) as stand_in,
        proxied(stand_in, directory, addon=addon, clock=AHEAD, **options) as way,
    ):
        yield way


def asked(way: Route) -> list[Request]:
    """The requests that are billed."""
    return [one for one in way.stand_in.requests if one.path.startswith("/anthropic/v1/messages?")]


def bills(way: Route) -> list[Usage]:
    """What the stand-in billed, as it remembers it."""
    return [
        Usage(
            uncached=bill["input_tokens"],
            cache_read=bill["cache_read_input_tokens"],
            cache_write_5m=bill["cache_creation"]["ephemeral_5m_input_tokens"],
            cache_write_1h=bill["cache_creation"]["ephemeral_1h_input_tokens"],
            output=bill["output_tokens"],
        )
        for _, bill in sorted(way.stand_in.bills.items())
    ]


def test_the_ledger_has_what_was_billed_to_the_token(tmp_path: Path, work: Path) -> None:
    with billed(session(work), tmp_path / "route") as way:
        run = way.client(work).run("Rename the twelfth item.")
        entries = ledger(way, len(asked(way)))
        sessions = {request.header("x-claude-code-session-id") for request in asked(way)}

    assert run.code == 0, run.err
    assert [entry.usage for entry in entries] == bills(way)
    assert {entry.ending for entry in entries} == {Ending.COMPLETE}
    assert {entry.deployment for entry in entries} == {"claude-sonnet-4-5"}
    assert {entry.session for entry in entries} == sessions
    assert entries[-1].outcome == "rewritten"
    assert {change.tool for change in entries[-1].changes} == {"Bash", "Read"}
    assert entries[-1].errors == 2
    assert entries[-1].rereads == 2
    assert all(one.follows == one.conversation and one.prefix_kept for one in entries[1:])


def test_sub_agents_are_conversations_of_their_own_in_the_same_session(tmp_path: Path, work: Path) -> None:
    with billed(sub_agents(work), tmp_path / "route") as way:
        way.client(work).run("Look into the prices.")
        entries = ledger(way, len(asked(way)))

    assert sorted(map(repr, (entry.usage for entry in entries))) == sorted(map(repr, bills(way)))
    assert len({entry.session for entry in entries}) == 1
    assert len({entry.conversation for entry in entries}) >= 3


def test_the_bill_without_us_is_what_the_same_session_costs_without(tmp_path: Path, work: Path) -> None:
    """One session through the proxy and the same one past it, each billed by a cache of its own."""
    script = by_turn(*look_around(work), *[Answer((bash(f"echo {turn}; cat orders.py"),)) for turn in range(3)])
    paid: list[list[Usage]] = []
    accounts = []
    for addon in (True, False):
        with billed(script, tmp_path / str(addon), LIFETIME, addon=addon, **(WARM if addon else {})) as way:
            way.client(work).run("Look around.")
            way.let_pass(PAUSE)
            way.client(work).run("Go on.", "-c")
            if addon:
                books = Accounts()
                accounts = [books.add(entry) for entry in ledger(way, len(asked(way)))]
            paid.append(bills(way))

    rewritten, plain = paid
    assert len(rewritten) == len(plain) > LOOKED
    assert rewritten[LOOKED].cache_read == plain[LOOKED].cache_read == 0, "the prompt cache has expired"

    def units(usages: list[Usage]) -> float:
        return sum(one.uncached + 1.25 * one.cache_write + 0.1 * one.cache_read + 5 * one.output for one in usages)

    assert units(rewritten) < 0.97 * units(plain)
    assert sum(account.paid or 0 for account in accounts) == pytest.approx(units(rewritten))
    saved = units(plain) - units(rewritten)
    estimated = sum((account.without or 0) - (account.paid or 0) for account in accounts)
    assert estimated == pytest.approx(saved, rel=0.35)  # the stand-in's tokens are bytes, which no factor knows exactly


def test_what_is_refused_bills_nothing_and_is_written_down(tmp_path: Path, work: Path) -> None:
    refused: list[int] = []

    def once(request: Request) -> Answer | object:
        if not refused:
            refused.append(request.number)
            return rate_limited(0)
        return Answer(("Done.",))

    with billed(once, tmp_path / "route") as way:  # type: ignore[arg-type]
        way.client(work).run("Say hello.")
        entries = ledger(way, len(asked(way)))

    assert [(entry.status, entry.ending, entry.usage) for entry in entries[:1]] == [(429, Ending.REFUSED, None)]
    assert [entry.usage for entry in entries[1:]] == bills(way)


def test_the_figures_at_foundry_local_are_those_of_the_ledger(tmp_path: Path, work: Path) -> None:
    with billed(session(work), tmp_path / "route") as way:
        way.client(work).run("Rename the twelfth item.")
        entries = ledger(way, len(asked(way)))
        stats = way.proxy.local("/api/stats")

    assert stats["requests"] == len(entries)
    assert stats["tokens_removed"] == sum(entry.tokens_before - entry.tokens_after for entry in entries)
    assert json.dumps(stats).count("made-up-key") == 0

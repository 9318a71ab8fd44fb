"""Proxies that end, change or come late, and a service that refuses, while the real Claude Code goes on."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from compression_engine import Engine, Policy, Prompt, WireFormat
from demo.answers import Answer, Refusal, bad_request, overloaded, rate_limited
from demo.stand_in import Request, StandIn
from tests.e2e.ahead import put_ahead
from tests.e2e.claude_code import NEEDS_CLIENT
from tests.e2e.laws import Exchange, messages_exchanges, verify, verify_prefixes
from tests.e2e.route import clock_of, proxied, route
from tests.e2e.scripted import SOURCE, bash, read
from tests.e2e.set_aside_sessions import (
    BALANCED,
    LIFETIME,
    LOOKED,
    OPTIONS,
    PAUSE,
    WARM,
    answer_of,
    by_turn,
    found_after_a_pause,
    look_around,
    path_to,
    pause_in_session,
    stubs,
)

pytestmark = [pytest.mark.e2e, NEEDS_CLIENT]

SUMMARY = "<analysis>Nothing to add.</analysis>\n<summary>We looked around.</summary>"
NO_WAIT = {"foundry_cache_ttl": "0"}
"""For a proxy to which every conversation is cold."""


# Proxies that end and begin again


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_a_proxy_that_begins_again_sends_the_same(tmp_path: Path, work: Path, end: str) -> None:
    script = by_turn(
        *look_around(work),
        Answer(("Cold.",)),
        Answer((read(work / "orders.py"),)),
        Answer(("Warm.",)),
        lambda request: Answer((read(Path(path_to(request, f"of {SOURCE}"))),)),
    )
    with StandIn(script) as stand_in:
        with proxied(stand_in, tmp_path / "route", addon=True, **OPTIONS) as way:
            way.client(work).run("Look around.")
            way.let_pass(PAUSE)
            way.client(work).run("Go on.", "-c")
            if end == "killed":
                way.proxy.kill()
        for fork in ([], ["--fork-session"]):  # which gives the session another id
            with proxied(stand_in, tmp_path / "route", addon=True, **OPTIONS) as way:
                run = way.client(work).run("Go on.", "-c", *fork)
        found = messages_exchanges(way.exchanges())

    assert (run.code, run.out) == (0, "Done.\n"), run.err
    assert len({exchange.conversation for exchange in found}) == 2
    verify(found[: LOOKED + 1], LIFETIME)
    verify(found[LOOKED:])
    verify_prefixes(found[LOOKED:])
    assert [len(stubs(exchange.arrived)) for exchange in found[LOOKED:]] == [2] * 5
    assert answer_of(found[-1].results[-1]) == found[-1].results[0].sent


def test_two_proxies_that_share_their_state_serve_alternating_turns_alike(tmp_path: Path, work: Path) -> None:
    script = by_turn(
        *look_around(work),
        Answer(("Cold.",)),
        Answer((read(work / "orders.py"),)),
        Answer(("Warm.",)),
        lambda request: Answer((read(Path(path_to(request, f"of {SOURCE}"))),)),
        Answer(("Warm.",)),
        Answer((bash("tac quotes.py"),)),
    )
    with StandIn(script) as stand_in:
        with proxied(stand_in, tmp_path / "route", addon=True, **OPTIONS) as way:
            way.client(work).run("Look around.")
            way.let_pass(PAUSE)
            way.client(work).run("Go on.", "-c")
        with (
            proxied(stand_in, tmp_path / "route", addon=True, **OPTIONS) as one,
            proxied(stand_in, tmp_path / "route", addon=True, **OPTIONS) as other,
        ):
            runs = [way.client(work).run("Go on.", "-c") for way in (one, other, one)]
            logs = one.proxy.log() + other.proxy.log()
        found = messages_exchanges(one.exchanges())

    assert [run.code for run in runs] == [0, 0, 0]
    verify(found[: LOOKED + 1], LIFETIME)
    verify(found[LOOKED:])
    assert [len(stubs(exchange.arrived)) for exchange in found[LOOKED:]] == [2] * 7
    assert any(result.is_recalled for result in found[-1].results)
    assert logs.count("outcome=rewritten") == 6


def test_a_proxy_that_lost_its_memory_sends_the_old_messages_raw_until_a_pause(tmp_path: Path, work: Path) -> None:
    script = by_turn(*look_around(work), Answer(("Cold.",)), Answer((bash("tac quotes.py orders.py"),)))
    with StandIn(script) as stand_in:
        with proxied(stand_in, tmp_path / "route", addon=True, **OPTIONS) as way:
            way.client(work).run("Look around.")
            way.let_pass(PAUSE)
            way.client(work).run("Go on.", "-c")
        shutil.rmtree(tmp_path / "route/state")
        with proxied(stand_in, tmp_path / "route", addon=True, **OPTIONS) as way:
            way.client(work).run("Go on.", "-c")
        with proxied(stand_in, tmp_path / "route", addon=True, **OPTIONS | NO_WAIT) as way:
            run = way.client(work).run("Go on.", "-c")
        found = messages_exchanges(way.exchanges())

    assert (run.code, run.out) == (0, "Done.\n"), run.err
    verify(found[LOOKED + 1 : -1])
    cold, *warm, again = found[LOOKED:]
    assert len(stubs(cold.arrived)) == 2
    for exchange in warm:
        assert _arrived(exchange)[:LOOKED] == _sent(exchange)[:LOOKED]
    assert len(stubs(again.arrived)) == 3


# Proxies that come late, and modes that change


@pytest.mark.parametrize("before", ["no addon", "observe"])
def test_a_session_begun_without_rewriting_goes_on_raw_until_a_pause(tmp_path: Path, work: Path, before: str) -> None:
    script = by_turn(*look_around(work), Answer((bash("grep -rn price_of_ ."),)), Answer(("Warm.",)))
    options = {} if before == "no addon" else WARM | {"foundry_mode": before}
    with StandIn(script) as stand_in:
        with proxied(stand_in, tmp_path / "route", addon=before != "no addon", **options) as way:
            way.client(work).run("Look around.")
        with proxied(stand_in, tmp_path / "route", addon=True, **WARM) as way:
            way.client(work).run("Go on.", "-c")
        with proxied(stand_in, tmp_path / "route", addon=True, **BALANCED, **NO_WAIT) as way:
            run = way.client(work).run("Go on.", "-c")
        found = messages_exchanges(way.exchanges())

    assert (run.code, run.out) == (0, "Done.\n"), run.err
    verify(found[:-1])
    verify(found[-1:])
    for exchange in found[:LOOKED]:
        assert exchange.arrived.body == exchange.sent
    later = found[LOOKED:-1]
    assert len(later) == 2
    for exchange in later:
        assert [result.arrived for result in exchange.results[:3]] == [result.sent for result in exchange.results[:3]]
    assert later[-1].results[3].arrived != later[-1].results[3].sent  # what is new is rewritten
    assert len(stubs(found[-1].arrived)) == 3


def test_observe_tells_what_a_pause_would_bring_and_changes_no_byte(tmp_path: Path, work: Path) -> None:
    options = OPTIONS | {"foundry_mode": "observe"}
    with route(by_turn(*look_around(work)), tmp_path / "route", addon=True, **options) as way:
        way.client(work).run("Look around.")
        way.let_pass(PAUSE)
        run = way.client(work).run("Go on.", "-c")
        found, log = messages_exchanges(way.exchanges()), way.proxy.log()

    assert (run.code, run.out) == (0, "Done.\n"), run.err
    assert [exchange.arrived.body for exchange in found] == [exchange.sent for exchange in found]
    last = log[log.rindex("outcome=") :]
    assert last.startswith("outcome=observed")
    assert " set_aside=2 " in last


def test_another_mode_takes_effect_after_a_pause(tmp_path: Path, work: Path) -> None:
    lossless, observe = {"foundry_mode": "lossless"}, {"foundry_mode": "observe"}
    phases = [
        (WARM | lossless, "rewritten"),
        (WARM, "rewritten"),
        (BALANCED | NO_WAIT, "set aside"),
        (WARM | lossless, "set aside"),
        (WARM | observe, "set aside"),
        (BALANCED | NO_WAIT | lossless, "rewritten"),
        (WARM | observe, "rewritten"),
        (BALANCED | NO_WAIT | observe, "raw"),
        (WARM, "raw"),
        (BALANCED | NO_WAIT, "set aside"),
    ]
    with StandIn(by_turn(*look_around(work))) as stand_in:
        for number, (options, _) in enumerate(phases):
            with proxied(stand_in, tmp_path / "route", addon=True, **options) as way:
                run = way.client(work).run("Go on.", *(["-c"] if number else []))
                assert run.code == 0, run.err
        found = messages_exchanges(way.exchanges())

    last = found[LOOKED - 1 :]
    assert len(last) == len(phases)
    assert [_kind(exchange) for exchange in last] == [kind for _, kind in phases]
    for (earlier, later), (options, _) in zip(pairwise(last), phases[1:], strict=True):
        if options["foundry_cache_ttl"] == WARM["foundry_cache_ttl"]:
            verify([earlier, later])


# A service that refuses


@pytest.mark.parametrize(
    "refusal", [pytest.param(rate_limited(), id="429"), pytest.param(overloaded(), id="529"), "both, and a long wait"]
)
def test_a_refusal_at_the_cold_moment_costs_nothing(tmp_path: Path, work: Path, refusal: Refusal | str) -> None:
    """The client sends the same again, and so does the proxy: twice cold, or, after a long wait, cold once more."""
    waits = isinstance(refusal, str)
    refusals = [rate_limited(), overloaded()] if isinstance(refusal, str) else [refusal]
    left = list(refusals)

    def refuse(_: Request) -> Answer | Refusal:
        if waits and len(left) == 1:
            put_ahead(clock_of(tmp_path / "route"), PAUSE)
        return left.pop() if left else Answer((read(work / "orders.py"),))

    found = found_after_a_pause(by_turn(*look_around(work), refuse), tmp_path, work)
    again = found[LOOKED : LOOKED + len(refusals) + 1]
    assert len({exchange.sent for exchange in again}) == 1
    assert len({exchange.arrived.body for exchange in again}) == 1
    assert len(stubs(again[0].arrived)) == 2


def test_a_session_completes_though_every_request_is_refused_first(tmp_path: Path, work: Path) -> None:
    refused: set[bytes] = set()
    turns = by_turn(
        *look_around(work)[:2],
        pause_in_session(tmp_path / "route"),
        lambda request: Answer((read(Path(path_to(request, f"of {SOURCE}"))),)),
    )

    def answer(request: Request) -> Answer | Refusal:
        if request.body in refused:
            return turns(request)
        refused.add(request.body)
        return overloaded() if request.turn % 2 else rate_limited(0)

    with route(answer, tmp_path / "route", addon=True, **OPTIONS) as way:
        run = way.client(work).run("Look around.")
        found = messages_exchanges(way.exchanges())

    assert (run.code, run.out) == (0, "Done.\n"), run.err
    verify(found, LIFETIME)
    assert len(found) == 10
    assert len(refused) == 5  # each came again as it was
    assert answer_of(found[-1].results[-1]) == found[-1].results[0].sent


def test_a_session_that_outgrows_the_window_completes(tmp_path: Path, work: Path) -> None:
    """The stand-in's window is small. The client makes summaries until what it sends fits."""
    window = 180_000
    refused: list[int] = []
    counts = iter(range(100))

    def answer(request: Request) -> Answer | Refusal:
        if len(request.body) > window:
            refused.append(request.number)
            return bad_request(f"prompt is too long: {len(request.body) // 4} tokens > {window // 4} maximum")
        if _asks_for_summary(request):
            return Answer((SUMMARY,))
        count = next(counts)
        if count == 4:
            way.let_pass(PAUSE)
            return Answer((bash("echo slept"),))
        return Answer((bash("base64 -w 76 /dev/urandom | head -n 250"),)) if count < 14 else Answer(("The end.",))

    with route(answer, tmp_path / "route", addon=True, **OPTIONS) as way:
        run = way.client(work).run("Look at much.")
        found = messages_exchanges(way.exchanges())

    assert (run.code, run.out) == (0, "The end.\n"), run.err
    assert refused
    for exchange in found:
        verify([exchange])
        assert _is_taken_for_compaction(exchange) is _asks_for_summary(exchange.arrived)
    summaries = [exchange for exchange in found if _asks_for_summary(exchange.arrived)]
    assert summaries
    # What was set aside let more into the window than fits into it as the client wrote it.
    assert max(len(exchange.sent) for exchange in found if exchange.arrived.number not in refused) > window
    assert all(stubs(exchange.arrived) for exchange in summaries[:1])


# Summaries


@pytest.mark.parametrize("refusals", [0, 1], ids=["answered at once", "refused first"])
def test_a_request_for_a_summary_sets_nothing_more_aside(tmp_path: Path, work: Path, refusals: int) -> None:
    left = [overloaded()] * refusals
    turns = by_turn(*look_around(work), Answer((bash("tac orders.py quotes.py; cat inventory.py"),)))

    def answer(request: Request) -> Answer | Refusal:
        if _asks_for_summary(request):
            return left.pop() if left else Answer((SUMMARY,))
        return turns(request)

    with route(answer, tmp_path / "route", addon=True, **OPTIONS) as way:
        way.client(work).run("Look around.")
        way.let_pass(PAUSE)
        way.client(work).run("Go on.", "-c")
        before = len(messages_exchanges(way.exchanges()))
        way.let_pass(PAUSE)
        way.client(work).run("/compact", "-c")
        run = way.client(work).run("Go on.", "-c")
        found = messages_exchanges(way.exchanges())

    assert (run.code, run.out) == (0, "I have looked.\n"), run.err
    last, summaries, after = found[before - 1], found[before : before + 1 + refusals], found[before + 1 + refusals :]
    assert [_asks_for_summary(exchange.arrived) for exchange in summaries] == [True] * (1 + refusals)
    assert [_asks_for_summary(exchange.arrived) for exchange in after] == [False] * len(after)
    assert len(stubs(last.arrived)) == 2
    for exchange in summaries:
        verify([last, exchange])
        assert stubs(exchange.arrived) == stubs(last.arrived)
    # The same pause before an ordinary request would have set more aside: the output that was the newest then.
    assert summaries[-1].results[2].arrived == summaries[-1].results[2].sent
    assert "We looked around." in json.dumps(after[0].sent_messages)
    verify(after)
    assert stubs(after[0].arrived) == []


def _asks_for_summary(request: Request) -> bool:
    content = request.json["messages"][-1]["content"]
    return isinstance(content, list) and "Respond with plain text only" in str(content[-1].get("text", ""))[-1000:]


def _is_taken_for_compaction(exchange: Exchange) -> bool:
    seen: list[bool] = []

    def decide(prompt: Prompt) -> Policy:
        seen.append(prompt.is_compaction)
        return Policy()

    Engine().rewrite(exchange.sent, WireFormat.ANTHROPIC_MESSAGES, decide)
    return seen == [True]


def _kind(exchange: Exchange) -> str:
    if stubs(exchange.arrived):
        return "set aside"
    return "raw" if exchange.arrived.body == exchange.sent else "rewritten"


def _sent(exchange: Exchange) -> list[Any]:
    return exchange.sent_messages


def _arrived(exchange: Exchange) -> list[Any]:
    messages: list[Any] = exchange.arrived.json["messages"]
    return messages

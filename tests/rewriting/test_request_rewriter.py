from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.http import Request
from mitmproxy.test import tutils

from configuring.foundry_options import Settings
from configuring.possible_values import Mode
from conversations import Sent
from host_rules import Endpoint
from notices import Notices
from rewriting.request_rewriter import STATE_FILE, RequestRewriter
from rewriting.treatment import Treatment
from tests.compression_engine.bodies import READ, Json, body, dump, numbered, source_lines, texts, turns
from tests.compression_engine.openai_bodies import RESPONSES, body_in
from tests.conversations.branches import Clock
from tests.e2e.mitmdump import wait_for

_TOOLS = [{"name": "Read"}]
_LIFETIME = 60.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        Mode.BALANCED, (), 64 * 1024 * 1024, _LIFETIME, tmp_path / "state", 0, 60, budget=60.0
    )  # seconds, on a busy machine


@pytest.fixture
async def rewriter(settings: Settings, clock: Clock) -> AsyncIterator[RequestRewriter]:
    tested = RequestRewriter(settings, Notices(), clock)
    yield tested
    tested.close()


def _session(readings: int) -> list[Json]:
    found = ((READ, {"file_path": f"{n}.py"}, numbered(source_lines(40, f"n{n}"))) for n in range(readings))
    return turns(*found)


def _request(messages: list[Json], beta: str = "", betas_in_body: tuple[str, ...] = ()) -> Request:
    headers = ((b"anthropic-beta", beta.encode()),)
    further: dict[str, Any] = {"anthropic_beta": list(betas_in_body)} if betas_in_body else {}
    return tutils.treq(content=body(messages, tools=_TOOLS, **further), headers=headers)


async def _treated(rewriter: RequestRewriter, messages: list[Json], *, answered: bool = True) -> Treatment:
    treatment, sent = await rewriter.treat(_request(messages), Endpoint.MESSAGES)
    rewriter.settle(sent, answered=answered)
    return treatment


async def _after_pauses(rewriter: RequestRewriter, clock: Clock) -> tuple[Treatment, Request]:
    """The last of three Responses that are not stored, each after a pause; and its request without saying so."""
    for readings in (2, 3, 4):
        clock.now += 2 * _LIFETIME
        raw = body_in(RESPONSES, _session(readings), ("read_file",), store=False)
        treated, sent = await rewriter.treat(tutils.treq(content=raw), Endpoint.RESPONSES)
        rewriter.settle(sent, answered=True)
    return treated, tutils.treq(content=raw.replace(b',"store":false', b""))


async def test_old_results_are_set_aside_after_a_pause(rewriter: RequestRewriter, clock: Clock) -> None:
    for readings in (1, 2, 3):
        warm = await _treated(rewriter, _session(readings))
        assert warm.set_aside == 0
    clock.now += 2 * _LIFETIME
    cold = await _treated(rewriter, _session(4))
    assert cold.set_aside == 3  # all but the newest


async def test_what_is_remembered_outlives_the_process(
    rewriter: RequestRewriter, settings: Settings, clock: Clock
) -> None:
    await _treated(rewriter, _session(3))
    clock.now += 2 * _LIFETIME
    before = await _treated(rewriter, _session(4))
    assert (settings.state_dir / STATE_FILE).exists()
    again = RequestRewriter(settings, Notices(), clock)
    try:
        after = await _treated(again, _session(5))
    finally:
        again.close()
    assert before.body is not None
    assert after.body is not None
    assert texts(after.body)[:4] == texts(before.body)


async def test_it_goes_on_in_another_folder_with_what_it_knows(
    rewriter: RequestRewriter, settings: Settings, clock: Clock, tmp_path: Path
) -> None:
    await _treated(rewriter, _session(3))
    clock.now += 2 * _LIFETIME
    before = await _treated(rewriter, _session(4))
    moved = replace(settings, state_dir=tmp_path / "elsewhere")
    rewriter.apply(moved)
    after = await _treated(rewriter, _session(5))
    again = RequestRewriter(moved, Notices(), clock)
    try:
        there = await _treated(again, _session(6))
    finally:
        again.close()
    assert before.body is not None
    assert before.set_aside == 3
    for later in (after, there):
        assert later.body is not None
        assert texts(later.body)[:4] == texts(before.body)


async def test_another_mode_waits_until_the_cache_is_cold(
    rewriter: RequestRewriter, settings: Settings, clock: Clock
) -> None:
    await _treated(rewriter, _session(3))
    clock.now += 2 * _LIFETIME
    assert (await _treated(rewriter, _session(4))).set_aside == 3
    rewriter.apply(replace(settings, mode=Mode.LOSSLESS))
    assert (await _treated(rewriter, _session(5))).set_aside == 3
    clock.now += 2 * _LIFETIME
    assert (await _treated(rewriter, _session(6))).set_aside == 0


async def test_count_tokens_is_rewritten_and_not_remembered(rewriter: RequestRewriter) -> None:
    first = await _treated(rewriter, _session(3))
    counted, sent = await rewriter.treat(_request(_session(3)), Endpoint.COUNT_TOKENS)
    assert sent is None
    assert counted.body == first.body


async def test_input_tokens_is_rewritten_and_not_remembered(rewriter: RequestRewriter) -> None:
    items: list[Json] = [{"role": "user", "content": "Look."}]
    for number in range(2):
        call = {"call_id": f"c{number}", "name": "read_file", "arguments": '{"path":"a.py"}'}
        output = numbered(source_lines(40))
        items += [
            {"type": "function_call", **call},
            {"type": "function_call_output", "call_id": f"c{number}", "output": output},
        ]
    request = tutils.treq(content=dump({"model": "m", "input": items}))
    counted, nothing = await rewriter.treat(request, Endpoint.INPUT_TOKENS)
    treated, sent = await rewriter.treat(request, Endpoint.RESPONSES)
    assert nothing is None
    assert sent is not None
    assert treated.body is not None
    assert treated.body == counted.body


async def test_what_is_set_aside_is_when_it_is_counted_too(rewriter: RequestRewriter, clock: Clock) -> None:
    """A request that is only counted cannot say that it is not stored."""
    treated, counted = await _after_pauses(rewriter, clock)
    assert treated.set_aside == 3
    assert (await rewriter.treat(counted, Endpoint.INPUT_TOKENS))[0].set_aside == 3
    assert (await rewriter.treat(counted, Endpoint.RESPONSES))[0].set_aside == 0, "this one is stored"


async def test_a_compaction_goes_out_as_its_conversation_did(rewriter: RequestRewriter, clock: Clock) -> None:
    """It cannot say that it is not stored, and nobody goes on from it."""
    treated, asked = await _after_pauses(rewriter, clock)
    warm, _ = await rewriter.treat(asked, Endpoint.COMPACT)
    clock.now += 2 * _LIFETIME
    cold, _ = await rewriter.treat(asked, Endpoint.COMPACT)
    for compaction in (warm, cold):
        assert compaction.set_aside == treated.set_aside == 3, "what is in view stays so"
        assert compaction.body is not None
        assert compaction.body == (treated.body or b"").replace(b',"store":false', b"")


async def test_observing_changes_nothing_and_tells_what_would_have_been(
    rewriter: RequestRewriter, settings: Settings, clock: Clock
) -> None:
    rewriter.apply(replace(settings, mode=Mode.OBSERVE))
    await _treated(rewriter, _session(3))
    clock.now += 2 * _LIFETIME
    treatment = await _treated(rewriter, _session(4))
    assert (treatment.outcome, treatment.body, treatment.set_aside) == ("observed", None, 3)


@pytest.mark.parametrize(
    ("beta", "in_body", "set_aside"),
    [
        ("", (), 0),
        ("context-1m-2025-08-07", (), 3),
        ("claude-code-20250219", ("interleaved-thinking-2025-05-14",), 0),
        ("claude-code-20250219", ("interleaved-thinking-2025-05-14", "context-1m-2025-08-07"), 3),  # as on Bedrock
    ],
)
async def test_a_transcript_that_fills_the_models_window_grows_no_further(
    beta: str, in_body: tuple[str, ...], set_aside: int, rewriter: RequestRewriter, clock: Clock
) -> None:
    session = _session(4)
    session[0] = {"role": "user", "content": '{"anthropic_beta":["context-1m"]}' + "x" * 650_000}
    for messages in (session[:7], session):
        treatment, sent = await rewriter.treat(_request(messages, beta, in_body), Endpoint.MESSAGES)
        rewriter.settle(sent, answered=True)
        clock.now += 2 * _LIFETIME
    assert treatment.set_aside == set_aside


@pytest.mark.parametrize(
    ("endpoint", "deployment", "tokens", "set_aside"),
    [
        (Endpoint.MESSAGES, "m", 200_001, 3),
        (Endpoint.MESSAGES, "m", 200_000, 0),
        (Endpoint.MESSAGES, "other", 900_000, 0),
        (Endpoint.RESPONSES, "m", 900_000, 0),
    ],
)
async def test_a_deployment_that_was_billed_for_more_than_the_least_window_has_the_long_one(  # noqa: PLR0913, PLR0917 - a table of examples
    endpoint: Endpoint, deployment: str, tokens: int, set_aside: int, rewriter: RequestRewriter, clock: Clock
) -> None:
    session = _session(4)
    session[0] = {"role": "user", "content": "x" * 650_000}
    await _treated(rewriter, session[:7])
    rewriter.billed(endpoint, deployment, tokens)
    clock.now += 2 * _LIFETIME
    assert (await _treated(rewriter, session)).set_aside == set_aside


async def test_so_has_one_that_the_path_names(rewriter: RequestRewriter, clock: Clock) -> None:
    session = _session(4)
    session[0] = {"role": "user", "content": "x" * 650_000}
    rewriter.billed(Endpoint.MESSAGES, "claude-opus-4-6", 300_000)
    for messages in (session[:7], session):
        request = _request(messages)
        request.path = "/v1/projects/p/locations/global/publishers/anthropic/models/claude-opus-4-6:rawPredict"
        treatment, sent = await rewriter.treat(request, Endpoint.MESSAGES)
        rewriter.settle(sent, answered=True)
        clock.now += 2 * _LIFETIME
    assert treatment.set_aside == 3


@pytest.mark.parametrize(("size", "at_first", "when_cold"), [(800_000, 0, 3), (3_400_000, 0, 0), (3_600_000, 2, 2)])
async def test_only_what_outgrows_every_window_of_its_models_is_cold_when_it_is_first_seen(
    size: int, at_first: int, when_cold: int, rewriter: RequestRewriter, clock: Clock
) -> None:
    """Claude's newer models have the long window without asking for it, so the service may hold it as it is."""
    session = _session(4)
    session[0] = {"role": "user", "content": "x" * size}
    treatments = []
    for messages in (session[:7], session):
        treatment, sent = await rewriter.treat(_request(messages), Endpoint.MESSAGES)
        rewriter.settle(sent, answered=True)
        clock.now += 2 * _LIFETIME
        treatments.append(treatment)
    assert [treatment.set_aside for treatment in treatments] == [at_first, when_cold]


async def test_a_refusal_is_noted_at_once_and_of_answers_the_last_a_little_later(
    rewriter: RequestRewriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[tuple[float, bool]] = []

    def settle(_: object, sent: Sent, *, answered: bool) -> None:
        noted.append((sent.asked_at, answered))

    monkeypatch.setattr("conversations.Conversations.settle", settle)
    monkeypatch.setattr("rewriting.request_rewriter.SETTLE_SECONDS", 0.1)
    for at, answered in ((1.0, True), (3.0, True), (2.0, True), (4.0, False)):
        rewriter.settle(Sent("cache", at), answered=answered)
    rewriter.settle(None, answered=True)
    assert noted in ([], [(4.0, False)])
    assert await asyncio.to_thread(wait_for, lambda: len(noted) == 2, 60)
    assert noted == [(4.0, False), (3.0, True)]

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator

import pytest

from compression_engine import Engine, Outcome, Place, Policy, WireFormat
from engine_process import EngineProcess, EngineProcessError
from engine_worker import HEAVY_BYTES, EngineFailure, EngineWorker
from tests.compression_engine.bodies import READ, body, numbered, source_lines, turns
from tests.e2e.mitmdump import wait_for
from tests.test_engine_worker import Decider

FORMAT = WireFormat.ANTHROPIC_MESSAGES
SMALL = turns(*((READ, {"file_path": f"{name}.py"}, numbered(source_lines(60))) for name in "aab"))
LARGE = turns(*((READ, {"file_path": f"{at}.py"}, numbered(source_lines(600, f"v{at}"))) for at in range(6)))


@pytest.fixture(scope="module")
def process() -> Iterator[EngineProcess]:
    running = started()
    yield running
    running.close()


def started() -> EngineProcess:
    process = EngineProcess(64 * 1024 * 1024)
    process.start()
    assert wait_for(lambda: process.is_ready, 30)
    return process


def yes() -> bool:
    return True


@pytest.mark.slow
@pytest.mark.parametrize("policy", [Policy(), Policy(raw=((0, 3),)), Policy(aside=(Place(2, 0),))])
def test_it_is_an_engine_like_any_other(process: EngineProcess, policy: Policy) -> None:
    raw = body(SMALL)
    assert process.rewrite(raw, FORMAT, policy, yes) == Engine().rewrite(raw, FORMAT, lambda _: policy)


@pytest.mark.slow
def test_what_stays_as_it_is_is_the_very_same_body(process: EngineProcess) -> None:
    raw = body(turns())
    assert process.rewrite(raw, FORMAT, Policy(), yes).body is raw
    assert process.rewrite(b"{}", FORMAT, Policy(), yes).outcome is Outcome.NOT_UNDERSTOOD


@pytest.mark.slow
def test_it_stops_where_it_is_told_to(process: EngineProcess) -> None:
    results = turns(*((READ, {"file_path": f"{at}"}, numbered(source_lines(900, f"w{at}"))) for at in range(60)))
    assert process.rewrite(body(results), FORMAT, Policy(), lambda: False).outcome is Outcome.STOPPED


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
def test_when_it_is_killed_who_waits_is_told_and_it_starts_anew() -> None:
    process = started()
    assert process._process
    os.kill(process._process.pid, signal.SIGSTOP)
    pid = process._process.pid

    def kill() -> bool:
        os.kill(pid, signal.SIGKILL)
        return True

    with pytest.raises(EngineProcessError, match="has ended"):
        process.rewrite(body(SMALL), FORMAT, Policy(), kill)
    assert not process.is_ready
    with pytest.raises(EngineProcessError, match="has ended"):
        process.learn(body(SMALL), FORMAT, Policy())
    process.start()
    assert wait_for(lambda: process.is_ready, 30)
    assert process.rewrite(body(SMALL), FORMAT, Policy(), yes).outcome is Outcome.REWRITTEN
    process.close()
    assert not process.is_ready


@pytest.mark.slow
async def test_much_work_is_done_in_the_process_and_comes_out_the_same() -> None:
    process = started()
    worker = EngineWorker(Engine(), 10.0, process=process)
    bodies = [body(LARGE), body([*LARGE, *SMALL[1:3]]), body(SMALL)]
    assert len(bodies[0]) > HEAVY_BYTES
    try:
        results = [await worker.rewrite(raw, FORMAT, Decider()) for raw in bodies]
    finally:
        worker.close()
    assert results == [Engine().rewrite(raw, FORMAT) for raw in bodies]
    prompt = worker._engine.read(bodies[1], FORMAT)
    assert worker._engine.new_bytes(prompt, Policy()) > HEAVY_BYTES, "the conversation stays there"
    assert not worker._engine.new_bytes(worker._engine.read(bodies[2], FORMAT), Policy())


@pytest.mark.slow
async def test_for_what_goes_out_as_it_is_nobody_waits() -> None:
    """It is learned all the same: the next request is written shorter by what was said before."""
    process = started()
    worker = EngineWorker(Engine(), 10.0, process=process)
    raw_so_far = Policy(raw=((0, len(LARGE)),))
    asked = [*LARGE, {"role": "assistant", "content": "Done."}, {"role": "user", "content": "Go on."}]
    again = turns((READ, {"file_path": "0.py"}, numbered(source_lines(600, "v0"))))[1:]
    decide = Decider(policy=raw_so_far)
    try:
        first = await worker.rewrite(body(asked), FORMAT, decide)
        second = await worker.rewrite(body([*asked, *again]), FORMAT, decide)
    finally:
        worker.close()
    assert not isinstance(first, EngineFailure)
    assert (first.outcome, first.counts.results) == (Outcome.NOTHING_TO_DO, 0)
    assert second == Engine().rewrite(body([*asked, *again]), FORMAT, lambda _: raw_so_far)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
async def test_where_it_is_killed_at_work_the_work_is_done_here() -> None:
    """What went out rewritten goes out so again: the client's own bytes would break the prompt cache."""
    process = started()
    worker = EngineWorker(Engine(), 0.2, process=process)
    assert process._process
    pid = process._process.pid
    os.kill(pid, signal.SIGSTOP)
    decide = Decider(raw=False)
    try:
        task = asyncio.create_task(worker.rewrite(body(LARGE), FORMAT, decide))
        assert await asyncio.to_thread(wait_for, lambda: process._waiting)
        os.kill(pid, signal.SIGKILL)
        assert await task == Engine().rewrite(body(LARGE), FORMAT)
    finally:
        worker.close()
    assert not decide.noted


@pytest.mark.slow
async def test_without_it_the_work_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/there/is/no/such/program")
    worker = EngineWorker(Engine(), 10.0, process=EngineProcess(1024))
    try:
        result = await worker.rewrite(body(LARGE), FORMAT, Decider())
    finally:
        worker.close()
    assert result == Engine().rewrite(body(LARGE), FORMAT)

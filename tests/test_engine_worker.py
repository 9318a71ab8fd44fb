from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from mitmproxy.exceptions import OptionsError

from compression_engine import Decide, Engine, Outcome, Policy, Prompt, Rewrite, WireFormat
from engine_worker import EngineFailure, EngineWorker
from tests.compression_engine.bodies import READ, body, numbered, source_lines, turns

FORMAT = WireFormat.ANTHROPIC_MESSAGES


def as_usual(_: Prompt) -> Policy:
    return Policy()


class _Engine(Engine):
    def __init__(self, act: Callable[[bytes], Rewrite]) -> None:
        super().__init__()
        self.act = act

    def rewrite(self, body: bytes, wire_format: WireFormat, decide: Decide = lambda _: Policy()) -> Rewrite:
        assert decide is as_usual
        assert wire_format is FORMAT
        return self.act(body)


@asynccontextmanager
async def _worker(act: Callable[[bytes], Rewrite], patience: float = 10.0) -> AsyncIterator[EngineWorker]:
    worker = EngineWorker(_Engine(act), patience)
    try:
        yield worker
    finally:
        worker.close()


async def test_a_result_comes_back_from_another_thread() -> None:
    threads = []

    def act(body: bytes) -> Rewrite:
        threads.append(threading.current_thread())
        return Rewrite(body, Outcome.NOTHING_TO_DO)

    async with _worker(act) as worker:
        results = await asyncio.gather(*(worker.rewrite(b"%d" % at, FORMAT, as_usual) for at in range(5)))
    assert [result.body for result in results if isinstance(result, Rewrite)] == [b"0", b"1", b"2", b"3", b"4"]
    assert len(set(threads)) == 1
    assert threading.current_thread() not in threads


@pytest.mark.parametrize(
    "error",
    [
        ValueError("secret"),
        OptionsError("secret"),
        asyncio.CancelledError("secret"),
        KeyboardInterrupt("secret"),
        SystemExit("secret"),
        BaseException("secret"),
    ],
)
async def test_whatever_is_raised_comes_back_as_a_value(error: BaseException) -> None:
    def act(_body: bytes) -> Rewrite:
        raise error

    async with _worker(act) as worker:
        result = await worker.rewrite(b"", FORMAT, as_usual)
    assert isinstance(result, EngineFailure)
    assert result.reason.startswith(f"{type(error).__name__} at test_engine_worker.py:")


async def test_an_engine_that_hangs_costs_one_request_its_patience_and_the_next_ones_nothing() -> None:
    release = threading.Event()
    calls = []

    def act(body: bytes) -> Rewrite:
        calls.append(body)
        release.wait(10)
        return Rewrite(body, Outcome.NOTHING_TO_DO)

    async with _worker(act, patience=0.05) as worker:
        assert await worker.rewrite(b"1", FORMAT, as_usual) == EngineFailure("no result within 0.05 s")
        assert await worker.rewrite(b"2", FORMAT, as_usual) == EngineFailure("still busy with an earlier request")
        release.set()
        await asyncio.get_running_loop().run_in_executor(worker._thread, bytes)  # comes after what hung
        result = await worker.rewrite(b"3", FORMAT, as_usual)
    assert isinstance(result, Rewrite)
    assert b"2" not in calls


async def test_a_cancelled_request_is_cancelled() -> None:
    release = threading.Event()

    def act(body: bytes) -> Rewrite:
        release.wait(10)
        return Rewrite(body, Outcome.NOTHING_TO_DO)

    async with _worker(act) as worker:
        task = asyncio.create_task(worker.rewrite(b"", FORMAT, as_usual))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        release.set()


async def test_what_is_to_be_done_later_is_done_on_the_same_thread() -> None:
    threads = []

    def act(body: bytes) -> Rewrite:
        threads.append(threading.current_thread())
        return Rewrite(body, Outcome.NOTHING_TO_DO)

    async with _worker(act) as worker:
        worker.later(lambda: threads.append(threading.current_thread()))
        await worker.rewrite(b"", FORMAT, as_usual)
    assert threads[0] is threads[1]
    assert threads[0] is not threading.current_thread()


async def test_what_is_quickly_done_is_done_at_once_and_comes_out_the_same() -> None:
    lines = numbered(source_lines(60))
    messages = turns(*((READ, {"file_path": f"{name}.py"}, lines) for name in "abc"))
    threads = []

    def decide(_: Prompt) -> Policy:
        threads.append(threading.current_thread())
        return Policy()

    worker = EngineWorker(Engine())
    try:
        results = [
            await worker.rewrite(body(messages[:count]), FORMAT, decide, lambda prompt: prompt.count != 7)
            for count in (3, 5, 7)
        ]
    finally:
        worker.close()
    assert [thread is threading.current_thread() for thread in threads] == [False, True, False]
    assert [result.body for result in results if isinstance(result, Rewrite)] == [
        Engine().rewrite(body(messages[:count]), FORMAT).body for count in (3, 5, 7)
    ]

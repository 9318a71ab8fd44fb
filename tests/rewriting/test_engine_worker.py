from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from mitmproxy.exceptions import OptionsError

from compression_engine import Decide, Engine, Outcome, Policy, Prompt, Rewrite, WireFormat
from rewriting.engine_worker import _THREADS, EngineFailure, EngineWorker
from tests.compression_engine.bodies import READ, body, numbered, source_lines, turns

FORMAT = WireFormat.ANTHROPIC_MESSAGES
LINES = numbered(source_lines(60))


@dataclass
class Decider:
    """Says what it is told to; `noted` counts how often the client's own bytes were remembered to go out."""

    routine: bool = False
    raw: bool = True
    noted: int = 0
    policy: Policy = field(default_factory=Policy)
    threads: list[threading.Thread] = field(default_factory=list)

    def __call__(self, _: Prompt) -> Policy:
        self.threads.append(threading.current_thread())
        return self.policy

    def is_routine(self, _: Prompt) -> bool:
        return self.routine

    def may_go_raw(self) -> bool:
        return self.raw

    def went_raw(self) -> bool:
        self.noted += 1
        return bool(self.threads)


type _Act = Callable[[bytes, Callable[[], bool]], Rewrite]


class _Engine(Engine):
    def __init__(self, act: _Act) -> None:
        super().__init__()
        self.act = act

    def rewrite(
        self,
        body: bytes,
        wire_format: WireFormat,
        decide: Decide = lambda _: Policy(),  # noqa: ARG002 - the engine's signature
        goes_on: Callable[[], bool] = lambda: True,
        elsewhere: object = None,  # noqa: ARG002
    ) -> Rewrite:
        assert wire_format is FORMAT
        return self.act(body, goes_on)


@asynccontextmanager
async def _worker(engine: Engine | _Act, budget: float = 10.0, patience: float = 10.0) -> AsyncIterator[EngineWorker]:
    worker = EngineWorker(engine if isinstance(engine, Engine) else _Engine(engine), budget, patience)
    try:
        yield worker
    finally:
        worker.close()


def _unchanged(body: bytes, _goes_on: Callable[[], bool] = lambda: True) -> Rewrite:
    return Rewrite(body, Outcome.NOTHING_TO_DO)


async def test_results_come_back_from_other_threads() -> None:
    threads = set()

    def act(body: bytes, _goes_on: Callable[[], bool]) -> Rewrite:
        threads.add(threading.current_thread())
        return _unchanged(body)

    decide = Decider()
    async with _worker(act) as worker:
        results = await asyncio.gather(*(worker.rewrite(b"%d" % at, FORMAT, decide) for at in range(5)))
    assert [result.body for result in results if isinstance(result, Rewrite)] == [b"0", b"1", b"2", b"3", b"4"]
    assert threading.current_thread() not in threads
    assert not decide.noted


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
    def act(_body: bytes, _goes_on: Callable[[], bool]) -> Rewrite:
        raise error

    decide = Decider()
    async with _worker(act) as worker:
        result = await worker.rewrite(b"", FORMAT, decide)
    assert isinstance(result, EngineFailure)
    assert result.reason.startswith(f"{type(error).__name__} at test_engine_worker.py:")
    assert decide.noted == 1, "that the client's own bytes go out is remembered before they do"


async def test_long_work_for_one_request_holds_up_no_other() -> None:
    release = threading.Event()

    def act(body: bytes, _goes_on: Callable[[], bool]) -> Rewrite:
        if body == b"long":
            release.wait(10)
        return _unchanged(body)

    async with _worker(act) as worker:
        long = asyncio.create_task(worker.rewrite(b"long", FORMAT, Decider()))
        await asyncio.sleep(0)
        assert isinstance(await worker.rewrite(b"short", FORMAT, Decider()), Rewrite)
        assert not long.done()
        release.set()
        await long


async def test_an_engine_that_hangs_costs_requests_their_patience_and_the_next_ones_nothing() -> None:
    release = threading.Event()
    calls = []

    def act(body: bytes, _goes_on: Callable[[], bool]) -> Rewrite:
        calls.append(body)
        release.wait(10)
        return _unchanged(body)

    async with _worker(act, patience=0.05) as worker:
        while len(worker._stuck) < _THREADS:  # one of them may still be warming up
            hung = [worker.rewrite(b"hung", FORMAT, Decider()) for _ in range(2 * _THREADS)]
            assert set(await asyncio.gather(*hung)) <= {
                EngineFailure("no result within 0.05 s"),
                EngineFailure("still busy with earlier requests"),
            }
        decide = Decider()
        assert await worker.rewrite(b"2", FORMAT, decide) == EngineFailure("still busy with earlier requests")
        release.set()
        await asyncio.wait([*worker._stuck])
        assert isinstance(await worker.rewrite(b"3", FORMAT, decide), Rewrite)
    assert calls == [b"hung"] * _THREADS + [b"3"], "what went out while no thread was free is not decided about later"


def _until_told(body: bytes, goes_on: Callable[[], bool]) -> Rewrite:
    asked = threading.Event()
    while goes_on():
        asked.wait(0.005)
    return Rewrite(body, Outcome.STOPPED)


async def test_work_that_takes_too_long_is_stopped_where_raw_bytes_break_no_cache() -> None:
    decide = Decider()
    async with _worker(_until_told, budget=0.02) as worker:
        result = await worker.rewrite(b"body", FORMAT, decide)
    assert result == Rewrite(b"body", Outcome.STOPPED)
    assert decide.noted == 1


async def test_where_the_service_may_hold_what_is_ours_waiting_is_cheaper() -> None:
    decide = Decider(raw=False)
    async with _worker(_until_told, budget=0.02) as worker:
        task = asyncio.create_task(worker.rewrite(b"body", FORMAT, decide))
        done, _ = await asyncio.wait([task], timeout=0.2)
        assert not done
        decide.raw = True
        assert (await task) == Rewrite(b"body", Outcome.STOPPED)


async def test_what_was_done_before_the_stop_is_not_done_again() -> None:
    messages = turns(*((READ, {"file_path": f"{name}.py"}, LINES) for name in "abcdef"))
    engine = Engine()
    asked = iter([True] * 6 + [False])
    assert engine.rewrite(body(messages), FORMAT, goes_on=lambda: next(asked)).outcome is Outcome.STOPPED
    left = iter([True] * (len(messages) - 6))
    whole = engine.rewrite(body(messages), FORMAT, goes_on=lambda: next(left))
    assert whole == Engine().rewrite(body(messages), FORMAT)


async def test_a_request_of_which_nothing_was_asked_is_read_to_remember_that_it_goes_out_as_it_is() -> None:
    def act(_body: bytes, _goes_on: Callable[[], bool]) -> Rewrite:
        raise ValueError

    decide = Decider()
    async with _worker(act) as worker:
        assert isinstance(await worker.rewrite(body(turns()), FORMAT, decide), EngineFailure)
    assert len(decide.threads) == 1
    assert decide.threads[0] is not threading.current_thread()


async def test_what_waits_when_settings_change_is_done_yet() -> None:
    release = threading.Event()

    def act(body: bytes, _goes_on: Callable[[], bool]) -> Rewrite:
        release.wait(10)
        return _unchanged(body)

    async with _worker(act) as worker:
        tasks = [asyncio.create_task(worker.rewrite(b"", FORMAT, Decider())) for _ in range(9)]
        await asyncio.sleep(0.05)
        worker.close(at_once=False)
        release.set()
        assert not [result for result in await asyncio.gather(*tasks) if isinstance(result, EngineFailure)]


async def test_a_cancelled_request_is_cancelled() -> None:
    release = threading.Event()

    def act(body: bytes, _goes_on: Callable[[], bool]) -> Rewrite:
        release.wait(10)
        return _unchanged(body)

    async with _worker(act) as worker:
        task = asyncio.create_task(worker.rewrite(b"", FORMAT, Decider()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        release.set()


async def test_requests_that_wait_when_it_is_closed_go_on_as_they_are() -> None:
    """Nothing is cancelled: a hook that were would leave its client without an answer."""
    release = threading.Event()

    def act(body: bytes, _goes_on: Callable[[], bool]) -> Rewrite:
        release.wait(10)
        return _unchanged(body)

    async with _worker(act) as worker:
        tasks = [asyncio.create_task(worker.rewrite(b"", FORMAT, Decider())) for _ in range(_THREADS + 2)]
        await asyncio.sleep(0.05)
        worker.close()
        release.set()
        results = await asyncio.gather(*tasks)
    assert results.count(EngineFailure("the engine was closed")) == 2


async def test_what_is_written_down_is_written_in_order() -> None:
    written: list[int] = []
    done = threading.Event()
    async with _worker(_unchanged) as worker:
        for at in range(20):
            worker.later(lambda at=at: written.append(at))  # type: ignore[misc]
        worker.later(done.set)
        assert done.wait(10)
    assert written == list(range(20))


async def test_what_is_quickly_done_is_done_at_once_and_comes_out_the_same() -> None:
    messages = turns(*((READ, {"file_path": f"{name}.py"}, LINES) for name in "abc"))
    decide = Decider()
    async with _worker(Engine()) as worker:
        results = []
        for count in (3, 5, 7):
            decide.routine = count != 7
            results.append(await worker.rewrite(body(messages[:count]), FORMAT, decide))
    assert [thread is threading.current_thread() for thread in decide.threads] == [False, True, False]
    assert [result.body for result in results if isinstance(result, Rewrite)] == [
        Engine().rewrite(body(messages[:count]), FORMAT).body for count in (3, 5, 7)
    ]


async def test_a_long_message_is_read_again_on_a_thread() -> None:
    """It was known, but for how it is spelt: on the event loop, 80 MB held up all streams for three seconds."""
    messages = turns((READ, {"file_path": "a.py"}, "x" * 600_000), (READ, {"file_path": "b.py"}, LINES))
    decide = Decider(routine=True)
    async with _worker(Engine()) as worker:
        for count in (3, 5):
            await worker.rewrite(body(messages[:count]), FORMAT, decide)
    assert threading.current_thread() not in decide.threads
    assert len(decide.threads) == 2


async def test_requests_at_once_come_out_as_one_after_the_other() -> None:
    """Of several conversations, and of one: what one thread works on, no other touches."""
    sessions = [turns(*((READ, {"file_path": f"{name}{number}.py"}, LINES) for name in "abcd")) for number in range(4)]
    raws = [body(session[:count]) for count in (3, 5, 7, 9) for session in sessions for _ in range(3)]
    async with _worker(Engine()) as worker:
        results = await asyncio.gather(*(worker.rewrite(raw, FORMAT, Decider()) for raw in raws))
    for raw, result in zip(raws, results, strict=True):
        assert isinstance(result, Rewrite)
        assert result.body == Engine().rewrite(raw, FORMAT).body

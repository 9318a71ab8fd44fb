from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from mitmproxy.exceptions import OptionsError

from compression_engine import Engine, Outcome, Policy, Prompt, Rewrite, WireFormat
from rewriting import engine_worker
from rewriting.engine_threads import BUSY, CLOSED, EngineFailure
from rewriting.engine_worker import _DECIDING, _WRITING, QUICK_BYTES, EngineWorker
from tests.compression_engine.bodies import READ, body, numbered, source_lines, turns
from tests.e2e.mitmdump import wait_for

FORMAT = WireFormat.ANTHROPIC_MESSAGES
LINES = numbered(source_lines(60))

LONG = 120.0
"""Seconds that nobody waits for but where something is broken, however busy the machine is."""


@pytest.fixture(autouse=True)
def _waits_until_it_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_worker, "_NOTED_WITHIN", LONG)


@dataclass
class Decider:
    """Says what it is told to.

    `noted` counts how often the client's own bytes were remembered to go out, `asked` how often it was asked whether
    they may.
    """

    routine: bool = False
    raw: bool = True
    noted: int = 0
    asked: int = 0
    policy: Policy = field(default_factory=Policy)
    threads: list[threading.Thread] = field(default_factory=list)

    def __call__(self, _: Prompt) -> Policy:
        self.threads.append(threading.current_thread())
        return self.policy

    def is_routine(self, _: Prompt) -> bool:
        return self.routine

    def may_go_raw(self) -> bool:
        self.asked += 1
        return self.raw

    def went_raw(self) -> bool:
        self.noted += 1
        return bool(self.threads)


@dataclass
class HeldDecider(Decider):
    """One that decides when `event` is set, and knows only then whether a request may go out as it is."""

    event: threading.Event = field(default_factory=threading.Event)
    decided: bool = False

    def __call__(self, prompt: Prompt) -> Policy:
        policy = super().__call__(prompt)
        assert self.event.wait(LONG)
        self.decided = True
        return policy

    def may_go_raw(self) -> bool:
        return self.decided and super().may_go_raw()


type _Act = Callable[[str, Callable[[], bool]], None]


class _Engine(Engine):
    """Does as `act` does, to which it tells the first words of the body and whether to go on, where that is told."""

    def __init__(self, act: _Act) -> None:
        super().__init__()
        self.act = act

    def write(self, prompt: Prompt, policy: Policy, goes_on: Callable[[], bool] = lambda: True) -> Rewrite:
        said = json.loads(prompt.body)["messages"][0]["content"]
        self.act(said, goes_on)
        return super().write(prompt, policy, goes_on)


def _saying(words: str) -> bytes:
    """A body of which there is too much to be done at once."""
    messages = turns((READ, {"file_path": "a.py"}, numbered(source_lines(400))))
    assert len(body(messages)) > QUICK_BYTES
    return body([{"role": "user", "content": words}, *messages[1:]])


@asynccontextmanager
async def _worker(engine: Engine | _Act, budget: float = LONG, patience: float = LONG) -> AsyncIterator[EngineWorker]:
    worker = EngineWorker(engine if isinstance(engine, Engine) else _Engine(engine), budget, patience)
    try:
        yield worker
    finally:
        worker.close()


def _nothing(_words: str, _goes_on: Callable[[], bool]) -> None:
    pass


async def test_results_come_back_from_other_threads() -> None:
    threads = set()

    def act(_words: str, _goes_on: Callable[[], bool]) -> None:
        threads.add(threading.current_thread())

    decide = Decider()
    bodies = [_saying(f"{at}") for at in range(5)]
    async with _worker(act) as worker:
        results = await asyncio.gather(*(worker.rewrite(raw, FORMAT, decide) for raw in bodies))
    assert results == [Engine().rewrite(raw, FORMAT) for raw in bodies]
    assert threading.current_thread() not in threads | set(decide.threads)
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
    def act(_words: str, _goes_on: Callable[[], bool]) -> None:
        raise error

    decide = Decider()
    async with _worker(act) as worker:
        result = await worker.rewrite(_saying("Go on."), FORMAT, decide)
    assert isinstance(result, EngineFailure)
    assert result.reason.startswith(f"{type(error).__name__} at test_engine_worker.py:")
    assert decide.noted == 1, "that the client's own bytes go out is remembered before they do"


@dataclass
class Release:
    """Lets the engine work on, but for bodies that begin with other words than "held"; it has been `asked` for each."""

    event: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)

    def __call__(self, words: str, _goes_on: Callable[[], bool]) -> None:
        self.asked.append(words)
        if words == "held":
            self.event.wait(LONG)


async def test_long_work_for_one_request_holds_up_no_other() -> None:
    held = Release()
    async with _worker(held) as worker:
        long = [asyncio.create_task(worker.rewrite(_saying("held"), FORMAT, Decider())) for _ in range(_WRITING - 1)]
        await asyncio.sleep(0)
        assert isinstance(await worker.rewrite(_saying("short"), FORMAT, Decider()), Rewrite)
        assert not any(task.done() for task in long)
        held.event.set()
        await asyncio.gather(*long)


async def test_little_work_does_not_wait_until_a_thread_is_free_for_much() -> None:
    held = Release()
    async with _worker(held) as worker:
        long = [asyncio.create_task(worker.rewrite(_saying("held"), FORMAT, Decider())) for _ in range(2 * _WRITING)]
        assert await asyncio.to_thread(wait_for, lambda: len(held.asked) == _WRITING, LONG)
        little = body(turns((READ, {"file_path": "a.py"}, LINES)))
        assert await worker.rewrite(little, FORMAT, Decider()) == Engine().rewrite(little, FORMAT)
        held.event.set()
        await asyncio.gather(*long)


@pytest.mark.parametrize("may_go_raw", [True, False])
async def test_who_may_not_go_out_in_another_way_waits_for_a_free_thread(*, may_go_raw: bool) -> None:
    """However long that takes: what has not begun does not hang."""
    held = Release()
    raw = _saying("next")
    async with _worker(held, budget=0.05) as worker:
        long = [
            asyncio.create_task(worker.rewrite(_saying("held"), FORMAT, Decider(raw=False))) for _ in range(_WRITING)
        ]
        assert await asyncio.to_thread(wait_for, lambda: len(held.asked) == _WRITING, LONG)
        decide = Decider(raw=may_go_raw)
        task = asyncio.create_task(worker.rewrite(raw, FORMAT, decide))
        assert await asyncio.to_thread(wait_for, lambda: decide.asked, LONG), "its time is over"
        done, _ = await asyncio.wait([task], timeout=LONG if may_go_raw else 0.2)
        assert bool(done) is may_go_raw
        held.event.set()
        result = await task
        await asyncio.gather(*long)
    assert isinstance(result, Rewrite)
    assert result.outcome is (Outcome.STOPPED if may_go_raw else Outcome.REWRITTEN)
    assert decide.noted == may_go_raw
    assert ("next" in held.asked) is not may_go_raw


async def test_an_engine_that_hangs_costs_requests_their_patience_and_the_next_ones_nothing() -> None:
    held = Release()
    async with _worker(held) as worker:
        worker._writing._patience = 0.2
        hung = [worker.rewrite(_saying("held"), FORMAT, Decider()) for _ in range(2 * _WRITING)]
        assert set(await asyncio.gather(*hung)) == {
            EngineFailure("no result within 0.2 s"),
            BUSY,
        }
        decide = Decider()
        assert await worker.rewrite(_saying("next"), FORMAT, decide) == BUSY
        held.event.set()
        assert await asyncio.to_thread(wait_for, lambda: not worker._writing._stuck, LONG)
        worker._writing._patience = LONG
        assert isinstance(await worker.rewrite(_saying("last"), FORMAT, decide), Rewrite)
    asked = ["held"] * _WRITING + ["last"]
    assert held.asked == asked, "what went out while no thread was free is not worked on later"


def _until_told(_words: str, goes_on: Callable[[], bool]) -> None:
    asked = threading.Event()
    while goes_on():
        asked.wait(0.005)


async def test_work_that_takes_too_long_is_stopped_where_raw_bytes_break_no_cache() -> None:
    decide = Decider()
    raw = _saying("Go on.")
    async with _worker(_until_told, budget=0.02) as worker:
        result = await worker.rewrite(raw, FORMAT, decide)
    assert isinstance(result, Rewrite)
    assert (result.body, result.outcome) == (raw, Outcome.STOPPED)
    assert decide.noted == 1


async def test_where_the_service_may_hold_what_is_ours_waiting_is_cheaper() -> None:
    decide = Decider(raw=False)
    async with _worker(_until_told, budget=0.02) as worker:
        task = asyncio.create_task(worker.rewrite(_saying("Go on."), FORMAT, decide))
        assert await asyncio.to_thread(wait_for, lambda: decide.asked > 1, LONG), "its time is over"
        assert not task.done()
        decide.raw = True
        result = await task
    assert isinstance(result, Rewrite)
    assert result.outcome is Outcome.STOPPED


async def test_what_was_done_before_the_stop_is_not_done_again() -> None:
    messages = turns(*((READ, {"file_path": f"{name}.py"}, LINES) for name in "abcdef"))
    engine = Engine()
    asked = iter([True] * 6 + [False])
    assert engine.rewrite(body(messages), FORMAT, goes_on=lambda: next(asked)).outcome is Outcome.STOPPED
    left = iter([True] * (len(messages) - 6))
    whole = engine.rewrite(body(messages), FORMAT, goes_on=lambda: next(left))
    assert whole == Engine().rewrite(body(messages), FORMAT)


async def test_a_request_of_which_nothing_was_asked_is_read_to_remember_that_it_goes_out_as_it_is() -> None:
    class Fails(Engine):
        def rewrite_if_quick(self, *_: object) -> Rewrite | None:
            raise ValueError

    decide = Decider()
    async with _worker(Fails()) as worker:
        assert isinstance(await worker.rewrite(body(turns()), FORMAT, decide), EngineFailure)
    assert len(decide.threads) == 1
    assert decide.threads[0] is not threading.current_thread()


async def test_what_waits_when_settings_change_is_done_yet() -> None:
    held = Release()
    async with _worker(held) as worker:
        tasks = [asyncio.create_task(worker.rewrite(_saying("held"), FORMAT, Decider())) for _ in range(9)]
        assert await asyncio.to_thread(wait_for, lambda: len(held.asked) == _WRITING, LONG)
        worker.close(at_once=False)
        held.event.set()
        assert not [result for result in await asyncio.gather(*tasks) if isinstance(result, EngineFailure)]


async def test_what_is_being_decided_when_settings_change_is_written_yet() -> None:
    """Else it would go out as the client sent it, and break a prompt cache."""
    decides, may_decide = threading.Event(), threading.Event()

    class Slow(Decider):
        def __call__(self, prompt: Prompt) -> Policy:
            decides.set()
            may_decide.wait(LONG)
            return super().__call__(prompt)

    raw = _saying("Go on.")
    async with _worker(Engine()) as worker:
        task = asyncio.create_task(worker.rewrite(raw, FORMAT, Slow()))
        assert await asyncio.to_thread(decides.wait, LONG)
        worker.close(at_once=False)
        may_decide.set()
        assert await task == Engine().rewrite(raw, FORMAT)


async def test_a_cancelled_request_is_cancelled() -> None:
    held = Release()
    async with _worker(held) as worker:
        task = asyncio.create_task(worker.rewrite(_saying("held"), FORMAT, Decider()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        held.event.set()


@pytest.mark.parametrize("may_go_raw", [True, False])
async def test_requests_that_wait_when_it_is_closed_go_on_as_they_are(*, may_go_raw: bool) -> None:
    """Nothing is cancelled: a hook that were would leave its client without an answer.

    As they are decided, that is, where a prompt cache would break.
    """
    held = Release()
    async with _worker(held) as worker:
        tasks = [
            asyncio.create_task(worker.rewrite(_saying("held"), FORMAT, Decider(raw=may_go_raw)))
            for _ in range(_WRITING + 2)
        ]
        assert await asyncio.to_thread(wait_for, lambda: len(held.asked) == _WRITING, LONG)
        assert await asyncio.to_thread(wait_for, lambda: worker._writing._pool._work_queue.qsize() == 2, LONG)
        worker.close()
        held.event.set()
        results = await asyncio.gather(*tasks)
    assert results.count(CLOSED) == (2 if may_go_raw else 0)


@pytest.mark.parametrize("may_go_raw", [True, False])
async def test_requests_that_wait_to_be_decided_about_when_it_is_closed_are_decided_about(*, may_go_raw: bool) -> None:
    """Else one of them could break a prompt cache: nobody knows yet."""
    free = threading.Event()
    requests = [(_saying(f"{at}"), HeldDecider(raw=may_go_raw, event=free)) for at in range(_DECIDING + 2)]
    bodies = [raw for raw, _ in requests]
    async with _worker(_nothing) as worker:
        tasks = [asyncio.create_task(worker.rewrite(raw, FORMAT, held)) for raw, held in requests]
        assert await asyncio.to_thread(
            wait_for, lambda: sum(len(held.threads) for _, held in requests) == _DECIDING, LONG
        )
        assert await asyncio.to_thread(wait_for, lambda: worker._deciding._pool._work_queue.qsize() == 2, LONG)
        worker.close()
        free.set()
        results = await asyncio.gather(*tasks)
    assert all(held.decided for _, held in requests)
    # Where it turns out that nothing breaks, they need not be written.
    assert results == ([CLOSED] * len(bodies) if may_go_raw else [Engine().rewrite(raw, FORMAT) for raw in bodies])


async def test_what_is_written_down_is_written_in_order() -> None:
    written: list[int] = []
    done = threading.Event()
    async with _worker(_nothing) as worker:
        for at in range(20):
            worker.later(lambda at=at: written.append(at))  # type: ignore[misc]
        worker.later(done.set)
        assert done.wait(LONG)
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

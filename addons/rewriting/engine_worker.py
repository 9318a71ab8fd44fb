"""Runs the engine beside the event loop, and lets nothing out of it.

What is quickly done is done at once. Other work is done on threads, so that it holds up no other request, and what is
much in a process of its own, so that it holds up no other client's stream. Whatever the engine raises comes back as a
value: an `OptionsError` or a `CancelledError` that escaped a hook would leave the client waiting for ever, and a panic
of a native library is no `Exception`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from threading import Event
from typing import Protocol

from compression_engine import Engine, Outcome, Policy, Prompt, Rewrite, WireFormat, tokens
from notices import where_it_broke
from rewriting.engine_process import EngineProcess, EngineProcessError

__all__ = ["Decider", "EngineFailure", "EngineWorker"]

PATIENCE_SECONDS = 20.0
"""How long a request may wait at most: an emergency stop, far above what the cap on work allows."""

QUICK_BYTES = 12_000
"""New work up to this size is done at once, on the event loop: sooner done than handed over, and in a few ms."""

HEAVY_BYTES = 100_000
"""New work from this size on is done in the process, if it runs: some hundredths of a second of Python."""

# They share one interpreter, so more would be no faster; some of them only wait for the process.
_THREADS = 4
_NOTED_WITHIN = 1.0
_MOST_TOLD = 1_000


@dataclass(frozen=True, slots=True)
class EngineFailure:
    """The engine did not come to an end. `reason` holds no content."""

    reason: str


class Decider(Protocol):
    """Decides about one request, see `conversations.Decision`."""

    def __call__(self, prompt: Prompt, /) -> Policy:
        """How the request is written."""

    def is_routine(self, prompt: Prompt, /) -> bool:
        """Whether deciding takes no time."""

    def may_go_raw(self) -> bool:
        """Whether the client's own bytes may go out without breaking a prompt cache."""

    def went_raw(self) -> bool:
        """Remember that they go out, now or once it is asked how the request is written: False where it was not yet."""


class EngineWorker:
    """An `Engine`, the threads that use it, and the `process` that has one of its own, for those who want that.

    `budget` and `patience` are seconds: what a request waits where its own bytes may go out, and at most.
    """

    def __init__(
        self, engine: Engine, budget: float, patience: float = PATIENCE_SECONDS, process: EngineProcess | None = None
    ) -> None:
        self._engine = engine
        self._process = process
        self._told: OrderedDict[bytes, None] = OrderedDict()  # what the process has been told of
        self.budget = budget
        self._patience = patience
        self._threads = ThreadPoolExecutor(_THREADS, "foundry-engine")
        self._noting = ThreadPoolExecutor(1, "foundry-notes")
        self._stuck: set[asyncio.Future[Rewrite | EngineFailure]] = set()
        self._threads.submit(tokens.warm_up)  # or the first request would wait for it

    def start(self) -> None:
        """Start the process; where it ends, it is started again when there is work for it."""
        if self._process is not None:
            self._threads.submit(self._process.start)

    async def rewrite(self, body: bytes, wire_format: WireFormat, decide: Decider) -> Rewrite | EngineFailure:
        """What the engine makes of `body`, as `decide` says. Raises only when the waiting task is cancelled.

        Where nothing comes of it, or too late, that the client's own bytes go out has been remembered.
        """
        quick = _caught(self._engine.rewrite_if_quick, body, wire_format, decide, decide.is_routine, QUICK_BYTES)
        result = quick if quick is not None else await self._on_a_thread(body, wire_format, decide)
        if isinstance(result, EngineFailure) or result.outcome is Outcome.STOPPED:
            noted = self.later(partial(self._went_raw, body, wire_format, decide))
            await asyncio.wait([asyncio.wrap_future(noted)], timeout=_NOTED_WITHIN)
        return result

    def _went_raw(self, body: bytes, wire_format: WireFormat, decide: Decider) -> None:
        if not decide.went_raw():
            decide(self._engine.read(body, wire_format))

    async def _on_a_thread(self, body: bytes, wire_format: WireFormat, decide: Decider) -> Rewrite | EngineFailure:
        if len(self._stuck) >= _THREADS:
            return EngineFailure("still busy with earlier requests")
        is_late = Event()

        def goes_on() -> bool:
            return not (is_late.is_set() and decide.may_go_raw())

        elsewhere = partial(self._elsewhere, wire_format, goes_on)
        rewrite = partial(self._engine.rewrite, body, wire_format, decide, goes_on, elsewhere)
        try:
            job = self._threads.submit(_caught, rewrite)
        except RuntimeError:
            return EngineFailure("the engine was closed")
        work = asyncio.wrap_future(job)
        await asyncio.wait([work], timeout=min(self.budget, self._patience))
        is_late.set()
        await asyncio.wait([work], timeout=max(0.0, self._patience - self.budget))
        if work.cancelled():
            return EngineFailure("the engine was closed")
        if work.done():
            return work.result()
        if not job.cancel():  # else no thread was free, and none is to decide about it when it has long gone out
            self._stuck.add(work)
            work.add_done_callback(self._stuck.discard)
        return EngineFailure(f"no result within {self._patience:g} s")

    def _elsewhere(
        self, wire_format: WireFormat, goes_on: Callable[[], bool], prompt: Prompt, policy: Policy
    ) -> Rewrite | None:
        """What the process makes of much work; None where it is little, or there is no process."""
        process = self._process
        if process is None or self._engine.new_bytes(prompt, policy) < HEAVY_BYTES:
            return None
        process.start()
        if not process.is_ready:
            return None
        is_known = any(digest in self._told for digest in prompt.digests)
        self._tell(prompt.digests[-1])
        try:
            if not is_known and self._engine.leaves_alone(prompt, policy):
                # It goes out as it is, so nobody has to wait; the next request finds that the work is done.
                process.learn(prompt.body, wire_format, policy)
                rewrite = self._engine.unchanged(prompt)
            else:
                rewrite = process.rewrite(prompt.body, wire_format, policy, goes_on)
            self._engine.remember(prompt, policy, rewrite)
            return rewrite if rewrite.model else replace(rewrite, model=prompt.request.model)
        except EngineProcessError:
            return None  # killed, or closed: the work is done here, or a prompt cache would break

    def _tell(self, digest: bytes) -> None:
        self._told[digest] = None
        while len(self._told) > _MOST_TOLD:
            self._told.popitem(last=False)

    def later(self, act: Callable[[], object]) -> Future[object]:
        """Write something down, in order. What comes of it comes whatever happens: an EngineFailure if need be."""
        try:
            return self._noting.submit(_caught, act)
        except RuntimeError:  # closed
            done: Future[object] = Future()
            done.set_result(_caught(act))
            return done

    def close(self, *, at_once: bool = True) -> None:
        """Take no more work. What waits goes on as it is, or, not `at_once`, is done yet."""
        if self._process is not None:
            self._process.close()
        self._threads.shutdown(wait=False, cancel_futures=at_once)
        self._noting.shutdown(wait=False)


def _caught[**P, R](act: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | EngineFailure:
    try:
        return act(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001 - see the module's docstring
        return EngineFailure(where_it_broke(error))

"""Runs the engine beside the event loop, and lets nothing out of it.

What is quickly done is done at once. Else a request is read and decided about on one kind of threads, and written on
another, or, where that is much work, in a process of its own: so none waits to be decided about until others are
written, and no other client's stream is held up.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import NamedTuple, Protocol

from compression_engine import Engine, NotUnderstood, Outcome, Policy, Prompt, Rewrite, WireFormat, tokens
from rewriting.engine_process import EngineProcess, EngineProcessError
from rewriting.engine_threads import CLOSED, EngineFailure, EngineThreads, caught

__all__ = ["Decider", "EngineFailure", "EngineWorker"]

PATIENCE_SECONDS = 20.0
"""How long one piece of work may take once it has begun: an emergency stop, far above what the cap on work allows."""

QUICK_BYTES = 12_000
"""New work up to this size is done at once, on the event loop: sooner done than handed over, and in a few ms."""

HEAVY_BYTES = 100_000
"""New work from this size on is done in the process, if it runs: some hundredths of a second of Python."""

# They share one interpreter, so more would be no faster. Decisions are made one at a time.
_DECIDING = 2
_WRITING = 4
_NOTED_WITHIN = 1.0
_MOST_TOLD = 1_000


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


class _Decided(NamedTuple):
    """How a request is to be written, and in which process, if that is much work and one is ready."""

    prompt: Prompt
    policy: Policy
    process: EngineProcess | None


class EngineWorker:
    """An `Engine`, the threads that use it, and the `process` that has one of its own, for those who want that.

    `budget` and `patience` are seconds: what a request waits where its own bytes may go out, and what one piece of work
    takes at most.
    """

    def __init__(
        self, engine: Engine, budget: float, patience: float = PATIENCE_SECONDS, process: EngineProcess | None = None
    ) -> None:
        self._engine = engine
        self._process = process
        self._told: OrderedDict[bytes, None] = OrderedDict()  # what the process has been told of
        self.budget = budget
        self._deciding = EngineThreads(_DECIDING, "foundry-deciding", patience)
        self._writing = EngineThreads(_WRITING, "foundry-writing", patience)
        self._noting = ThreadPoolExecutor(1, "foundry-notes")
        self._writing.submit(tokens.warm_up)  # or the first request would wait for it

    def start(self) -> None:
        """Start the process; where it ends, it is started again when there is work for it.

        Not on a thread: beside what opens a port anew, it could hold on to the old one for a moment.
        """
        if self._process is not None:
            self._process.start()

    async def rewrite(self, body: bytes, wire_format: WireFormat, decide: Decider) -> Rewrite | EngineFailure:
        """What the engine makes of `body`, as `decide` says. Raises only when the waiting task is cancelled.

        Where nothing comes of it, or too late, that the client's own bytes go out has been remembered.
        """
        result = caught(self._engine.rewrite_if_quick, body, wire_format, decide, decide.is_routine, QUICK_BYTES)
        if result is None:
            result = await self._beside(body, wire_format, decide)
        if isinstance(result, EngineFailure) or result.outcome is Outcome.STOPPED:
            noted = self.later(partial(self._went_raw, body, wire_format, decide))
            await asyncio.wait([asyncio.wrap_future(noted)], timeout=_NOTED_WITHIN)
        return result

    def _went_raw(self, body: bytes, wire_format: WireFormat, decide: Decider) -> None:
        if not decide.went_raw():
            decide(self._engine.read(body, wire_format))

    async def _beside(self, body: bytes, wire_format: WireFormat, decide: Decider) -> Rewrite | EngineFailure:
        """As `rewrite`, without the event loop.

        Where this is closed meanwhile, since the addon is loaded anew, it is done on the loop after all, if a prompt
        cache could break: that is worth a moment for all.
        """
        ends = time.monotonic() + self.budget

        def goes_on() -> bool:
            return time.monotonic() < ends or not decide.may_go_raw()

        decide_now = partial(self._decided, body, wire_format, decide)
        decided = await self._deciding.run(decide_now)
        if decided == CLOSED and not decide.may_go_raw():
            decided = caught(decide_now)
        if not isinstance(decided, _Decided):
            return decided
        prompt, policy, process = decided
        if process is not None:
            try:
                rewrite = await process.rewrite(body, wire_format, policy, goes_on)
            except EngineProcessError:
                pass  # killed, or closed: the work is done here, or a prompt cache would break
            else:
                self._engine.remember(prompt, policy, rewrite)
                return rewrite if rewrite.model else replace(rewrite, model=prompt.request.model)
        stopped = Rewrite(body, Outcome.STOPPED, model=prompt.request.model)
        write = partial(self._engine.write, prompt, policy, goes_on)
        written = await self._writing.run(write, ends - time.monotonic(), lambda: None if goes_on() else stopped)
        if written == CLOSED and not decide.may_go_raw():
            return caught(write)
        return written

    def _decided(self, body: bytes, wire_format: WireFormat, decide: Decider) -> Rewrite | _Decided:
        """How a request is to be written, or what is written, where that is little work."""
        try:
            prompt = self._engine.read(body, wire_format)
        except NotUnderstood:
            return Rewrite(body, Outcome.NOT_UNDERSTOOD)
        policy = decide(prompt)
        new = self._engine.new_bytes(prompt, policy)
        if new <= QUICK_BYTES:
            return self._engine.write(prompt, policy)
        process = self._ready_process() if new >= HEAVY_BYTES else None
        if process is not None and self._is_left_to_learn(process, prompt, wire_format, policy):
            # It goes out as it is, so nobody has to wait; the next request finds that the work is done.
            rewrite = self._engine.unchanged(prompt)
            self._engine.remember(prompt, policy, rewrite)
            return rewrite
        return _Decided(prompt, policy, process)

    def _ready_process(self) -> EngineProcess | None:
        process = self._process
        if process is None:
            return None
        process.start()
        return process if process.is_ready else None

    def _is_left_to_learn(
        self, process: EngineProcess, prompt: Prompt, wire_format: WireFormat, policy: Policy
    ) -> bool:
        """Whether a prompt goes out as it is, and the process has been told to learn it."""
        is_known = any(digest in self._told for digest in prompt.digests)
        self._told[prompt.digests[-1]] = None
        while len(self._told) > _MOST_TOLD:
            self._told.popitem(last=False)
        if is_known or not self._engine.leaves_alone(prompt, policy):
            return False
        try:
            process.learn(prompt.body, wire_format, policy)
        except EngineProcessError:
            return False
        return True

    def later(self, act: Callable[[], object]) -> Future[object]:
        """Write something down, in order. What comes of it comes whatever happens: an EngineFailure if need be."""
        try:
            return self._noting.submit(caught, act)
        except RuntimeError:  # closed
            done: Future[object] = Future()
            done.set_result(caught(act))
            return done

    def close(self, *, at_once: bool = True) -> None:
        """Take no more work. What waits is done yet, or, `at_once`, goes on as it is where that breaks no prompt cache.

        Then the threads end with the last request that uses this.
        """
        if self._process is not None:
            self._process.close()
        if at_once:
            self._deciding.close()
            self._writing.close()
            self._noting.shutdown(wait=False)

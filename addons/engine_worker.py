"""Runs the engine beside the event loop, and lets nothing out of it.

On a thread of its own, so that long work for one request holds up no other client's stream; only what is quickly done
is done at once. Whatever the engine raises comes back as a value: an `OptionsError` or a `CancelledError` that escaped
a hook would leave the client waiting for ever, and a panic of a native library is no `Exception`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

from compression_engine import Decide, Engine, Prompt, Rewrite, WireFormat, tokens
from notices import where_it_broke

__all__ = ["EngineFailure", "EngineWorker"]

PATIENCE_SECONDS = 20.0
"""How long a request may wait at most: an emergency stop, far above what the engine's own cap on work allows."""

QUICK_BYTES = 12_000
"""New work up to this size is done at once, on the event loop: sooner done than handed over, and in a few ms."""


@dataclass(frozen=True, slots=True)
class EngineFailure:
    """The engine did not come to an end. `reason` holds no content."""

    reason: str


class EngineWorker:
    """An `Engine` and the one thread that uses it."""

    def __init__(self, engine: Engine, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._engine = engine
        self._patience = patience_seconds
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="foundry-engine")
        self._stuck: asyncio.Future[Rewrite | EngineFailure] | None = None
        self._free = Lock()  # held by whoever uses the engine, on the thread or beside it
        self._thread.submit(tokens.warm_up)  # or the first request would wait for it

    async def rewrite(
        self,
        body: bytes,
        wire_format: WireFormat,
        decide: Decide,
        is_routine: Callable[[Prompt], bool] = lambda _: False,
    ) -> Rewrite | EngineFailure:
        """What the engine makes of `body`, as `decide` says; `is_routine` tells whether deciding takes no time.

        Raises only when the waiting task is cancelled.
        """
        if self._stuck is not None and not self._stuck.done():
            return EngineFailure("still busy with an earlier request")
        if self._free.acquire(blocking=False):
            try:
                quick = _caught(self._engine.rewrite_if_quick, body, wire_format, decide, is_routine, QUICK_BYTES)
            finally:
                self._free.release()
            if quick is not None:
                return quick
        work = asyncio.get_running_loop().run_in_executor(self._thread, self._rewrite, body, wire_format, decide)
        await asyncio.wait([work], timeout=self._patience)
        if not work.done():
            self._stuck = work
            return EngineFailure(f"no result within {self._patience:g} s")
        return work.result()

    def later(self, act: Callable[[], object]) -> None:
        """Do something on the same thread, after what is waiting and not beside it; nothing comes back of it."""
        self._thread.submit(self._alone, act)

    def _alone(self, act: Callable[[], object]) -> None:
        with self._free:
            act()

    def _rewrite(self, body: bytes, wire_format: WireFormat, decide: Decide) -> Rewrite | EngineFailure:
        with self._free:
            return _caught(self._engine.rewrite, body, wire_format, decide)

    def close(self) -> None:
        """Take no more work."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _caught[**P, R](act: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | EngineFailure:
    try:
        return act(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001 - see the module's docstring
        return EngineFailure(where_it_broke(error))

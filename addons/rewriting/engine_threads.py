"""Threads for the engine, whose work may be slow, may hang, and may raise anything.

Whatever it raises comes back as a value: an `OptionsError` or a `CancelledError` that escaped a hook would leave the
client waiting for ever, and a panic of a native library is no `Exception`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from notices import where_it_broke

__all__ = ["BUSY", "CLOSED", "EngineFailure", "EngineThreads", "caught"]


@dataclass(frozen=True, slots=True)
class EngineFailure:
    """The engine did not come to an end. `reason` holds no content."""

    reason: str


BUSY = EngineFailure("still busy with earlier requests")
CLOSED = EngineFailure("the engine was closed")


def caught[**P, R](act: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | EngineFailure:
    """What `act` returns, or what it raises as a value."""
    try:
        return act(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001 - see the module's docstring
        return EngineFailure(where_it_broke(error))


class EngineThreads:
    """`count` threads. What has begun on one may take `patience` seconds, what waits for its turn any time.

    For a request whose prefix the service holds, waiting is cheaper than to go out in another way.
    """

    def __init__(self, count: int, name: str, patience: float) -> None:
        self._count = count
        self._patience = patience
        self._pool = ThreadPoolExecutor(count, name)
        self._stuck = 0

    def submit(self, act: Callable[[], object]) -> None:
        """Do something that nobody waits for."""
        self._pool.submit(act)

    async def run[R](
        self, act: Callable[[], R], soon: float | None = None, instead: Callable[[], R | None] = lambda: None
    ) -> R | EngineFailure:
        """What `act` returns, or why it returns nothing.

        Where its turn has not come within `soon` seconds, it is what `instead` returns, unless that is None.
        """
        began: list[float] = []

        def begin() -> R | EngineFailure:
            began.append(time.monotonic())
            return caught(act)

        if self._is_stuck:
            return BUSY
        try:
            job = self._pool.submit(begin)
        except RuntimeError:
            return CLOSED
        work = asyncio.wrap_future(job)
        if soon is not None:
            await asyncio.wait([work], timeout=max(0.0, min(soon, self._patience)))
            result = None if work.done() else instead()
            if result is not None and job.cancel():
                return result
        while not work.done():
            left = self._patience - (time.monotonic() - began[0] if began else 0.0)
            if left <= 0:
                self._stuck += 1
                work.add_done_callback(self._is_free_again)
                return EngineFailure(f"no result within {self._patience:g} s")
            if self._is_stuck and job.cancel():  # nobody is to decide about it when it has long gone out
                return BUSY
            await asyncio.wait([work], timeout=left)
        return CLOSED if work.cancelled() else work.result()

    @property
    def _is_stuck(self) -> bool:
        """Whether all threads are at work that was given up."""
        return self._stuck >= self._count

    def _is_free_again(self, _: object) -> None:
        self._stuck -= 1

    def close(self) -> None:
        """Take no more work, and give up what waits."""
        self._pool.shutdown(wait=False, cancel_futures=True)

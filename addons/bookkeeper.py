"""Writes down what became of each request, once its answer has ended.

`note` when a request is on its way, `listen` when the answer begins, and when it has ended, `end`, but `once_counted`.
Nothing here raises for what a disk or an answer may do, and nothing waits: the ledger writes on a thread of its own,
and tokens are counted on one.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import NamedTuple

from mitmproxy.http import Request, Response

import host_rules
from billing.accounts import Account, Accounts
from billing.calibration import counted_text
from billing.entry import Ending, Entry
from billing.ledger import Ledger
from billing.usage_tap import UsageTap
from compression_engine import tokens
from configuring.possible_values import Mode
from conversations import steady_clock
from host_rules import Endpoint
from outcomes import REWRITTEN
from rewriting.treatment import Treatment

__all__ = ["Bookkeeper", "Pending", "Warm", "session_of"]

SESSION_HEADER = "x-claude-code-session-id"
_SESSION = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

# What a message says is counted for the first requests of a deployment, and for every so many-th behind those.
_COUNTED_AT_FIRST = 40
_COUNTED_EVERY = 10
_MOST_COUNTED = 200_000  # bytes of a message: to read a longer one holds up all others for a moment
_MOST_WARM = 5_000


def session_of(request: Request) -> str:
    """The client's id of its session; empty if it gives none, or none that is a UUID."""
    given = request.headers.get(SESSION_HEADER, "")
    return given.lower() if _SESSION.fullmatch(given) else ""


@dataclass(slots=True)
class Pending:
    """A request on its way."""

    at: float
    host: str
    endpoint: Endpoint | None
    mode: Mode
    session: str
    deployment: str
    treatment: Treatment
    added_ms: float
    counted: Future[int] | None
    status: int = 0
    is_stream: bool = False
    tap: UsageTap | None = None


class Warm(NamedTuple):
    """A conversation that went out rewritten: its prompt cache has expired at `until`, and held so many tokens last."""

    until: float
    tokens: int


class Bookkeeper:
    """`tell` is handed the account of each request; both clocks give seconds since 1970.

    When requests came is told by `clock`, whether a prompt cache is warm by the `steady` one.
    """

    def __init__(
        self,
        ledger: Ledger,
        tell: Callable[[Account], None],
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = steady_clock.now,
    ) -> None:
        self._ledger = ledger
        self._tell = tell
        self._clock = clock
        self._steady = steady
        self._accounts = Accounts()
        self._warm: dict[str, Warm] = {}  # by conversation
        self._counter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="foundry-counter")
        self._requests: dict[str, int] = {}  # by deployment
        self._waiting: dict[Callable[[], None], None] = {}  # what is done once something is counted, in order

    def close(self) -> None:
        """Write what is there, and let go of the threads."""
        self.catch_up()
        self._counter.shutdown(wait=False, cancel_futures=True)
        self._ledger.close()

    def move(self, ledger: Ledger) -> None:
        """Write into another ledger from now on, requests too that are on their way."""
        self.catch_up()
        self._ledger.close()
        self._ledger = ledger

    def note(  # noqa: PLR0913 - each is a thing of its own
        self,
        request: Request,
        host: str,
        endpoint: Endpoint | None,
        *,
        mode: Mode,
        treatment: Treatment,
        started: float,
    ) -> Pending:
        """A request is on its way to `host`, that came in at `started` by the performance counter."""
        added = time.perf_counter() - started
        deployment = treatment.deployment or host_rules.deployment(request.path)
        now = self._clock()
        standing = treatment.standing
        if treatment.outcome == REWRITTEN and standing is not None:
            last = self._warm.pop(standing.conversation, None)
            self._warm[standing.conversation] = Warm(standing.warm_until, last.tokens if last else 0)
            if len(self._warm) > _MOST_WARM:
                del self._warm[next(iter(self._warm))]
        return Pending(
            now - added,
            host,
            endpoint,
            mode,
            session_of(request),
            deployment,
            replace(treatment, body=None, last_message=b""),
            added * 1000,
            self._count(deployment, treatment),
        )

    def once_counted(self, pending: Pending, act: Callable[[], None]) -> None:
        """Have the tokens of what is new counted, and `act` called by the event loop then.

        For when the answer has ended: much that is new is counted by the engine's process in the meantime.
        """
        loop = asyncio.get_running_loop()
        self._waiting[act] = None
        treatment = pending.treatment
        is_counted = all(change.is_counted for change in treatment.changes)
        counting = None if is_counted else self._counted_beside(lambda: treatment.tokens_removed)
        if counting is None:
            loop.call_soon(self._act, act)
        else:
            counting.add_done_callback(lambda _: self._act_on(loop, act))

    def catch_up(self) -> None:
        """Do now what waits for tokens to be counted: somebody asks for the figures of all that has ended."""
        for act in list(self._waiting):
            self._act(act)

    def _act_on(self, loop: asyncio.AbstractEventLoop, act: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the proxy has ended meanwhile
            loop.call_soon_threadsafe(self._act, act)

    def _act(self, act: Callable[[], None]) -> None:
        if act in self._waiting:  # else somebody asked for it meanwhile
            del self._waiting[act]
            act()

    def listen(self, pending: Pending, response: Response) -> UsageTap:
        """The answer begins: what its bytes are to be led through."""
        pending.status = response.status_code
        kind = response.headers.get("content-type", "")
        endpoint = pending.endpoint or ""
        pending.tap = UsageTap(endpoint, kind, response.headers.get("content-encoding", ""))
        pending.is_stream = pending.tap.is_stream
        return pending.tap

    def end(self, pending: Pending, *, client_left: bool = False, broken: bool = False) -> Entry:
        """The answer has ended, or will not come. What nobody pays for is not written down."""
        entry = _entry(pending, _ending(pending, client_left=client_left, broken=broken))
        if pending.endpoint is not None and not pending.endpoint.is_billed:
            return entry
        self._ledger.add(entry)
        warm = self._warm.get(entry.conversation)
        if warm is not None and entry.usage is not None:
            self._warm[entry.conversation] = warm._replace(tokens=entry.usage.input)
        self._tell(self._accounts.add(entry))
        return entry

    @property
    def lost(self) -> int:
        """How many requests could not be written down."""
        return self._ledger.lost

    def warm(self) -> list[Warm]:
        """The conversations that went out rewritten and may be in the service's prompt cache so."""
        now = self._steady()
        return [one for one in self._warm.values() if one.until > now]

    def forget_warm(self) -> None:
        """Let none of them count any more."""
        self._warm.clear()

    def _count(self, deployment: str, treatment: Treatment) -> Future[int] | None:
        """Have the last message counted, for some requests: on a thread, and after the request has gone."""
        seen = self._requests[deployment] = self._requests.get(deployment, -1) + 1
        if not 0 < len(treatment.last_message) <= _MOST_COUNTED or (seen > _COUNTED_AT_FIRST and seen % _COUNTED_EVERY):
            return None
        return self._counted_beside(lambda: _counted(treatment.last_message))

    def _counted_beside(self, count: Callable[[], int]) -> Future[int] | None:
        """Have something counted on the thread; None once this is closed, while requests are still on their way."""
        try:
            return self._counter.submit(count)
        except RuntimeError:
            return None


def _counted(message: bytes) -> int:
    text = counted_text(b'{"messages":[%b]}' % message)
    return tokens.count(text) if text else 0


def _result(counted: Future[int] | None) -> int:
    """The count, if it is there; 0 if not, whatever kept it."""
    if counted is None or not counted.done() or counted.cancelled() or counted.exception() is not None:
        return 0
    return counted.result()


def _ending(pending: Pending, *, client_left: bool, broken: bool) -> Ending:
    if client_left:
        return Ending.CLIENT_LEFT
    if not pending.status:
        return Ending.UNREACHED
    if pending.status >= HTTPStatus.BAD_REQUEST:
        return Ending.REFUSED
    tap = pending.tap
    if broken or (pending.is_stream and tap is not None and not tap.is_complete and not tap.problem and tap.usage):
        return Ending.CUT
    return Ending.COMPLETE


def _entry(pending: Pending, ending: Ending) -> Entry:
    treatment, tap = pending.treatment, pending.tap
    standing = treatment.standing
    return Entry(
        at=pending.at,
        conversation=standing.conversation if standing else "",
        follows=standing.follows if standing else "",
        session=pending.session,
        deployment=pending.deployment or (tap.model if tap else ""),
        model=tap.model if tap else "",
        endpoint=pending.endpoint or "unknown",
        mode=pending.mode,
        holdout=standing.holdout if standing else False,
        outcome=treatment.outcome,
        status=pending.status,
        ending=ending,
        bytes_before=treatment.bytes_before,
        bytes_after=treatment.bytes_after,
        added_ms=pending.added_ms,
        gap=standing.gap if standing else None,
        is_cold=standing.is_cold if standing else False,
        moved=standing.moved if standing else False,
        prefix_kept=standing.prefix_kept if standing else True,
        set_aside=treatment.set_aside,
        results=treatment.counts.results,
        errors=treatment.counts.errors,
        rereads=treatment.counts.rereads,
        recalled=treatment.counts.recalled,
        counted=_result(pending.counted),
        changes=treatment.sums,
        usage=tap.usage if tap else None,
    )

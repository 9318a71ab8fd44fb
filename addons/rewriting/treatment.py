"""What is done to the body of one request, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mitmproxy.http import Request

from billing.entry import Change
from compression_engine import NO_RESULTS, SET_ASIDE, Counts, Outcome, ResultChange, WireFormat
from conversations import Decision, Standing
from notices import Notices
from outcomes import (
    FAILED,
    HOLDOUT,
    OBSERVED,
    REWRITTEN,
    STREAMED,
    TOO_LARGE,
    UNREADABLE_ENCODING,
)
from rewriting.engine_worker import EngineFailure, EngineWorker
from rewriting.request_content import TooLargeError, content_of

__all__ = ["Treatment", "treat"]


@dataclass(frozen=True, slots=True)
class Treatment:
    """`outcome` is one of those in `outcomes`.

    `body` is what to send instead, None where the client's own bytes go out. Bytes are those of the body before content
    encoding, 0 where it could not be read. `changes` are those of all results in the body, `counts` count them. In mode
    observe bytes and changes tell what would have been. `deployment` is empty where the body does not name one.
    `standing` is None where the body was not understood or is not billed; `last_message` is the JSON of the last one as
    it is sent, empty where it is not known.
    """

    outcome: str
    body: bytes | None = None
    bytes_before: int = 0
    bytes_after: int = 0
    changes: tuple[ResultChange, ...] = ()
    counts: Counts = NO_RESULTS
    deployment: str = ""
    standing: Standing | None = None
    last_message: bytes = b""

    @property
    def tokens_removed(self) -> int:
        """o200k_base tokens."""
        return sum(change.tokens_before - change.tokens_after for change in self.changes)

    @property
    def set_aside(self) -> int:
        """For how many results a line stands."""
        return sum(change.kind == SET_ASIDE for change in self.changes)

    @property
    def sums(self) -> tuple[Change, ...]:
        """The changes, added up by tool and kind."""
        return tuple(_added_up(self.changes))


def _added_up(changes: Iterable[ResultChange]) -> Iterable[Change]:
    sums: dict[tuple[str, str], list[int]] = {}
    for change in changes:
        sum_ = sums.setdefault((change.tool, change.kind), [0, 0, 0])
        sum_[0] += 1
        sum_[1] += change.tokens_before
        sum_[2] += change.tokens_after
    return (Change(*key, *numbers) for key, numbers in sums.items())


async def treat(
    request: Request, wire_format: WireFormat, decide: Decision, engine: EngineWorker, notices: Notices
) -> Treatment:
    """Let `engine` rewrite the body of `request`, which stays as it is: the caller sends `Treatment.body`."""
    try:
        body = content_of(request)
    except TooLargeError:
        notices.too_large()
        return Treatment(TOO_LARGE)
    except ValueError:
        # Never assign content here: for an encoding that it does not know, mitmproxy drops the header.
        notices.unreadable_encoding(request.headers.get("content-encoding", ""))
        return Treatment(UNREADABLE_ENCODING)
    if body is None:
        notices.streamed_body()
        return Treatment(STREAMED)
    size = len(body)
    result = await engine.rewrite(body, wire_format, decide)
    if isinstance(result, EngineFailure):
        notices.failure("The engine", result.reason)
        return Treatment(FAILED, bytes_before=size, bytes_after=size)
    for problem in sorted(result.problems):
        notices.result_left_alone(problem)
    is_rewritten = result.outcome is Outcome.REWRITTEN
    outcome: str = result.outcome
    if is_rewritten and decide.is_measured:
        outcome = OBSERVED
    elif not is_rewritten and decide.standing is not None and decide.standing.holdout:
        outcome = HOLDOUT
    return Treatment(
        outcome,
        result.body if outcome == REWRITTEN else None,
        size,
        len(result.body),
        result.changes,
        result.counts,
        result.model,
        decide.standing,
        result.last_message,
    )

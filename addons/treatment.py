"""What is done to the body of one request, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from mitmproxy.http import Request

from compression_engine import SET_ASIDE, Outcome, WireFormat
from conversations import Decision
from engine_worker import EngineFailure, EngineWorker
from notices import Notices

__all__ = ["OBSERVED", "REWRITTEN", "UNKNOWN_FORMAT", "Treatment", "treat"]

REWRITTEN = Outcome.REWRITTEN.value
OBSERVED = "observed"  # would have been rewritten
FAILED = "failed"
STREAMED = "streamed"
UNKNOWN_FORMAT = "unknown-format"
UNREADABLE_ENCODING = "unreadable-encoding"


@dataclass(frozen=True, slots=True)
class Treatment:
    """`outcome` is one of this module's constants or an `Outcome` of the engine.

    `body` is what to send instead, None where the client's own bytes go out. Tokens are o200k_base; bytes are those of
    the body before content encoding, 0 where it could not be read. In mode observe they tell what would have been.
    `set_aside` is how many results a line stands for.
    """

    outcome: str
    body: bytes | None = None
    tokens_removed: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    set_aside: int = 0


async def treat(
    request: Request, wire_format: WireFormat, decide: Decision, engine: EngineWorker, notices: Notices
) -> Treatment:
    """Let `engine` rewrite the body of `request`, which stays as it is: the caller sends `Treatment.body`."""
    try:
        body = request.content
    except ValueError:
        # Never assign content here: for an encoding that it does not know, mitmproxy drops the header.
        notices.unreadable_encoding(request.headers.get("content-encoding", ""))
        return Treatment(UNREADABLE_ENCODING)
    if body is None:
        notices.streamed_body()
        return Treatment(STREAMED)
    size = len(body)
    result = await engine.rewrite(body, wire_format, decide, decide.is_routine)
    if isinstance(result, EngineFailure):
        notices.failure("The engine", result.reason)
        return Treatment(FAILED, bytes_before=size, bytes_after=size)
    for problem in sorted(result.problems):
        notices.result_left_alone(problem)
    if result.outcome is not Outcome.REWRITTEN:
        return Treatment(result.outcome, bytes_before=size, bytes_after=size)
    return Treatment(
        OBSERVED if decide.is_measured else REWRITTEN,
        body=None if decide.is_measured else result.body,
        tokens_removed=result.tokens_removed,
        bytes_before=size,
        bytes_after=len(result.body),
        set_aside=sum(change.kind == SET_ASIDE for change in result.changes),
    )

"""What a flow says of itself in mitmweb's list: a comment of one line, and a mark where something was not done.

Comment and mark are written into saved flows, so there is never content in them.
"""

from __future__ import annotations

from mitmproxy.http import HTTPFlow

from treatment import (
    FAILED,
    HOLDOUT,
    OBSERVED,
    OFF,
    REWRITTEN,
    SIGNED,
    STREAMED,
    UNKNOWN_FORMAT,
    UNREADABLE_ENCODING,
    Treatment,
)

__all__ = ["OUTCOME", "mark"]

OUTCOME = "foundry"
"""The key in a flow's metadata under which its outcome stands, for the filter ~meta."""

PASSED = ":warning:"
"""The mark of a request that was passed through although it was Foundry's."""

_WORDS = {
    "nothing-to-do": "as it came: nothing in it could be written in fewer tokens",
    "not-understood": "passed as it came: not the JSON that its path promises",
    "stopped": "passed as it came: there was too much that is new in it for the time",
    HOLDOUT: "as it came: one of the sessions that are left alone for comparison",
    OFF: "as it came: the mode is off",
    FAILED: "passed as it came: something of ours failed, see the log",
    SIGNED: "passed as it came: a signature or a hash covers its body",
    STREAMED: "passed as it came: stream_large_bodies sent it on before it was complete",
    UNKNOWN_FORMAT: "passed as it came: the format of this path is not known",
    UNREADABLE_ENCODING: "passed as it came: its content encoding cannot be read",
}
_PASSED = frozenset({"not-understood", "stopped", FAILED, SIGNED, STREAMED, UNKNOWN_FORMAT, UNREADABLE_ENCODING})


def mark(flow: HTTPFlow, treatment: Treatment, milliseconds: float) -> None:
    """Say on `flow` what was done to its request, which waited so many `milliseconds` for us."""
    flow.metadata[OUTCOME] = str(treatment.outcome)  # a plain one, as mitmproxy writes it into files
    flow.comment = f"{_said(treatment)}; {milliseconds:.1f} ms"
    if treatment.outcome in _PASSED and not flow.marked:
        flow.marked = PASSED


def _said(treatment: Treatment) -> str:
    if treatment.outcome not in (REWRITTEN, OBSERVED):
        return _WORDS.get(treatment.outcome, treatment.outcome)
    would = "would have been rewritten" if treatment.outcome == OBSERVED else "rewritten"
    aside = f"; {_results(treatment.set_aside)} set aside" if treatment.set_aside else ""
    return (
        f"{would}: {treatment.tokens_removed:,} tokens fewer, {treatment.bytes_before:,} → {treatment.bytes_after:,} "
        f"bytes{aside}"
    )


def _results(count: int) -> str:
    return "1 result" if count == 1 else f"{count:,} results"

"""What a flow says of itself in mitmweb's list: a comment of one line, and a mark where something was not done.

Comment and mark are written into saved flows, so there is never content in them.
"""

from __future__ import annotations

from mitmproxy.http import HTTPFlow

from outcomes import OBSERVED, REWRITTEN, is_passed, reason
from rewriting.treatment import Treatment

__all__ = ["OUTCOME", "mark"]

OUTCOME = "foundry"
"""The key in a flow's metadata under which its outcome stands, for the filter ~meta."""

PASSED = ":warning:"
"""The mark of a request that was passed through although it was Foundry's."""


def mark(flow: HTTPFlow, treatment: Treatment, milliseconds: float) -> None:
    """Say on `flow` what was done to its request, which waited so many `milliseconds` for us."""
    flow.metadata[OUTCOME] = str(treatment.outcome)  # a plain one, as mitmproxy writes it into files
    flow.comment = f"{_said(treatment)}; {milliseconds:.1f} ms"
    if is_passed(treatment.outcome) and not flow.marked:
        flow.marked = PASSED


def _said(treatment: Treatment) -> str:
    if treatment.outcome not in (REWRITTEN, OBSERVED):
        came = "passed as it came" if is_passed(treatment.outcome) else "as it came"
        return f"{came}: {reason(treatment.outcome)}"
    would = "would have been rewritten" if treatment.outcome == OBSERVED else "rewritten"
    aside = f"; {_results(treatment.set_aside)} set aside" if treatment.set_aside else ""
    return (
        f"{would}: {treatment.tokens_removed:,} tokens fewer, {treatment.bytes_before:,} → {treatment.bytes_after:,} "
        f"bytes{aside}"
    )


def _results(count: int) -> str:
    return "1 result" if count == 1 else f"{count:,} results"

"""What this process has done so far."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from treatment import OBSERVED, REWRITTEN, Treatment

__all__ = ["Totals"]


class Totals:
    """Live counts of the requests that are billed, were they answered.

    Tokens are o200k_base; bytes are those of the body before content encoding. Both count once the service has
    answered: nobody pays for a request that is refused, and a client repeats it.
    """

    def __init__(self) -> None:
        self.since = datetime.now(UTC)
        self.rewritten = 0
        self.unchanged: Counter[str] = Counter()
        self.tokens_removed = 0
        self.bytes_removed = 0
        self.tokens_observed = 0

    def count(self, treatment: Treatment) -> None:
        """Add one request, as it is sent."""
        if treatment.outcome == REWRITTEN:
            self.rewritten += 1
        else:
            self.unchanged[treatment.outcome] += 1

    def count_answered(self, treatment: Treatment) -> None:
        """Add what was saved with a request that was counted before and has now been answered with success."""
        if treatment.outcome == REWRITTEN:
            self.tokens_removed += treatment.tokens_removed
            self.bytes_removed += treatment.bytes_before - treatment.bytes_after
        elif treatment.outcome == OBSERVED:
            self.tokens_observed += treatment.tokens_removed

    def as_dict(self) -> dict[str, object]:
        """The counts, ready for JSON.

        `unchanged` maps a reason to a number of requests. `tokens_observed` would have been removed, had the mode not
        been observe. `since` is UTC, ISO 8601.
        """
        return {
            "requests": self.rewritten + self.unchanged.total(),
            "rewritten": self.rewritten,
            "unchanged": dict(sorted(self.unchanged.items())),
            "tokens_removed": self.tokens_removed,
            "bytes_removed": self.bytes_removed,
            "tokens_observed": self.tokens_observed,
            "since": self.since.isoformat(timespec="seconds"),
        }

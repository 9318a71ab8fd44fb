"""What this process has done so far."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from billing.accounts import Account
from treatment import OBSERVED, REWRITTEN

__all__ = ["Totals"]


class Totals:
    """Live sums of the requests that have ended. Tokens are o200k_base; bytes those of the body before its encoding.

    What was saved counts where the service answered: nobody pays for a request that is refused, and a client repeats
    it.
    """

    def __init__(self) -> None:
        self.since = datetime.now(UTC)
        self.rewritten = 0
        self.unchanged: Counter[str] = Counter()
        self.tokens_removed = 0
        self.bytes_removed = 0
        self.tokens_observed = 0
        self.units_paid = 0.0
        self.units_saved = 0.0

    def add(self, account: Account) -> None:
        """Add one request."""
        entry = account.entry
        if entry.outcome == REWRITTEN:
            self.rewritten += 1
        else:
            self.unchanged[entry.outcome] += 1
        if not 0 < entry.status < 400:  # noqa: PLR2004 - the errors of HTTP
            return
        removed = entry.tokens_before - entry.tokens_after
        if entry.outcome == REWRITTEN:
            self.tokens_removed += removed
            self.bytes_removed += entry.bytes_before - entry.bytes_after
        elif entry.outcome == OBSERVED:
            self.tokens_observed += removed
        if account.paid is not None and account.without is not None:
            self.units_paid += account.paid
            self.units_saved += account.without - account.paid

    def as_dict(self) -> dict[str, object]:
        """The sums, ready for JSON.

        `unchanged` maps a reason to a number of requests. `tokens_observed` would have been removed, had the mode not
        been observe. Units are the price of one uncached input token. `since` is UTC, ISO 8601.
        """
        return {
            "requests": self.rewritten + self.unchanged.total(),
            "rewritten": self.rewritten,
            "unchanged": dict(sorted(self.unchanged.items())),
            "tokens_removed": self.tokens_removed,
            "bytes_removed": self.bytes_removed,
            "tokens_observed": self.tokens_observed,
            "units_paid": round(self.units_paid, 1),
            "units_saved": round(self.units_saved, 1),
            "since": self.since.isoformat(timespec="seconds"),
        }

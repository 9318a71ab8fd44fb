"""What each request cost and would have cost, worked out from the entries of the ledger in the order of their time."""

from __future__ import annotations

from dataclasses import dataclass

from billing.entry import Entry

__all__ = ["Account", "Accounts"]


@dataclass(frozen=True, slots=True)
class Account:
    """One request. Costs are in *units*, the price of one uncached input token, output included."""

    entry: Entry
    removed: float
    paid: float
    without: float


class Accounts:
    """Goes through entries, oldest first."""

    def add(self, entry: Entry) -> Account:
        """What the request of `entry` cost."""
        raise NotImplementedError

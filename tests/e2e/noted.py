"""What stands in the ledger of a proxy while it runs: it is written a moment after an answer has ended."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from billing.entry import Entry
from billing.ledger import LEDGER_FILE
from billing.ledger_reader import LedgerError, LedgerReader
from tests.e2e.mitmdump import wait_for
from tests.e2e.route import Route

__all__ = ["ledger", "noted"]


def noted(state: Path) -> list[Entry]:
    """What stands so far in the ledger in this folder."""
    try:
        with closing(LedgerReader(state / LEDGER_FILE)) as reader:
            return list(reader.entries())
    except LedgerError:  # there is none, or it is just being made
        return []


def ledger(way: Route, requests: int) -> list[Entry]:
    """What the ledger holds, once it holds so many requests."""
    found: list[Entry] = []

    def is_written() -> bool:
        found[:] = noted(way.directory / "state")
        return len(found) >= requests

    assert wait_for(is_written), f"{len(found)} of {requests} requests are in the ledger:\n{way.proxy.log()}"
    return found

"""Made-up requests, and ledgers of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from billing.entry import Change, Entry
from billing.ledger import LEDGER_FILE, Ledger
from billing.usage import Usage
from tests.billing.entries import entry

DAY = 86_400.0
NOON = 1_790_000_000.0 // DAY * DAY + DAY / 2
"""Noon of a day, UTC."""

SESSION = "11111111-2222-4333-8444-555555555555"
OTHER_SESSION = "66666666-7777-4888-8999-aaaaaaaaaaaa"
MODEL = "claude-opus-4-6"
READ = Change("Read", "numbered", 2, 3000, 1000)
BASH = Change("Bash", "terminal", 1, 1500, 500)


def request(**fields: Any) -> Entry:
    """A request that was rewritten and billed, with `fields` as they are given."""
    billed = entry(
        NOON,
        conversation="c1",
        session=SESSION,
        deployment="opus",
        model=MODEL,
        bytes_before=20_000,
        bytes_after=10_000,
        added_ms=4.0,
        results=5,
        errors=1,
        rereads=1,
        changes=(READ, BASH),
        usage=Usage(uncached=1000, cache_write_5m=9000, output=200),
    )
    return replace(billed, **fields)


def conversation(turns: int = 3, **fields: Any) -> list[Entry]:
    """Requests a minute from each other, each of which reads what the one before wrote."""
    name = fields.get("conversation", "c1")
    at = fields.pop("at", NOON)
    return [
        request(
            **{
                "at": at + 60 * turn,
                "follows": name if turn else "",
                "gap": 60.0 if turn else None,
                "usage": Usage(uncached=100, cache_read=10_000 * turn, cache_write_5m=10_000, output=300),
                **fields,
            }
        )
        for turn in range(turns)
    ]


def write(folder: Path, entries: Iterable[Entry]) -> Path:
    """A ledger in `folder`; its path."""
    ledger = Ledger(folder / LEDGER_FILE, lambda _: None, clock=lambda: NOON + 3 * DAY)
    for one in entries:
        ledger.add(one)
    assert ledger.flush(60)  # `close` waits for two seconds only
    ledger.close()
    ledger._thread.join()
    return folder / LEDGER_FILE

"""Branches, made small."""

from __future__ import annotations

import hashlib
from typing import Any

from compression_engine import Place, Policy
from conversations import FailsafeStore
from conversations.branch import Branch, Cache, Found
from conversations.failsafe_store import SharedStore

HEAD = b"head"
OTHER_HEAD = b"other head"
POLICY = Policy(raw=((0, 3),), aside=(Place(4, 0), Place(6, 1)))


def digests(count: int, path: str = "") -> list[bytes]:
    """Of so many messages; other ones for every `path`."""
    return [hashlib.sha256(f"{path} {number}".encode()).digest() for number in range(count)]


def branch(branch_id: str = "b", **fields: Any) -> Branch:
    usual: dict[str, Any] = {"head": HEAD, "count": 3, "cache": Cache("c", asked=(10.0,)), "policy": POLICY}
    return Branch(branch_id, **(usual | fields))


class Remembering:
    """What a proxy remembers in what it shares with others and in memory, with what it reported."""

    def __init__(self, shared: SharedStore, clock: Clock) -> None:
        self.reports: list[str] = []
        self.store = FailsafeStore(shared, self.reports.append, clock)

    def known(self, count: int = 7) -> Found | None:
        return self.store.find(digests(count), HEAD)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

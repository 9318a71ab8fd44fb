"""The engine's one entry: a body, its wire format, and what is already known of the conversation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from compression_engine.formats import WireFormat

__all__ = ["Engine", "Outcome", "ResultChange", "Rewrite"]


class Outcome(StrEnum):
    """What became of a body."""

    REWRITTEN = "rewritten"
    NOTHING_TO_DO = "nothing-to-do"  # understood; no rewrite would have saved anything
    NOT_UNDERSTOOD = "not-understood"  # not JSON, or not the shape that its wire format has
    FORMAT_NOT_REWRITTEN = "format-not-rewritten"  # recognised, but only passed through so far


@dataclass(frozen=True, slots=True)
class ResultChange:
    """One rewritten tool result. Tokens are tiktoken's o200k_base."""

    kind: str
    tokens_before: int
    tokens_after: int


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The body to send and what was done to it.

    `body` is the very object that was handed in unless `outcome` is REWRITTEN.
    """

    body: bytes
    outcome: Outcome
    changes: tuple[ResultChange, ...] = ()

    @property
    def tokens_removed(self) -> int:
        """o200k_base tokens that the service does not have to read, over the whole body."""
        return sum(change.tokens_before - change.tokens_after for change in self.changes)


class Engine:
    """Rewrites bodies, remembering earlier work in at most `memory_bytes` bytes."""

    def __init__(self, memory_bytes: int = 256 * 1024 * 1024) -> None:
        self.memory_bytes = memory_bytes

    def rewrite(self, body: bytes, wire_format: WireFormat) -> Rewrite:
        """Rewrite `body`. Never raises for what a client may send; see `Outcome`."""
        return Rewrite(body, Outcome.FORMAT_NOT_REWRITTEN)

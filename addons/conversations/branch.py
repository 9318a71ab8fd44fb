"""A path that a conversation takes, and where such paths are kept."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from compression_engine import Policy

__all__ = ["Branch", "Found", "Store", "new_id"]


@dataclass(frozen=True, slots=True)
class Branch:
    """A path of a conversation, and how it went out last.

    `head` stands for what is cached before the messages, `count` is how many messages the last request had. Times are
    seconds since 1970: `asked_at` of the last request whose outcome is not known, `answered_at` of the last that the
    service answered, both of its start. `version` counts changes of the policy.
    """

    id: str
    head: bytes
    count: int
    policy: Policy = field(default_factory=Policy)
    asks_hour: bool = False
    asked_at: float | None = None
    answered_at: float | None = None
    version: int = 0

    @property
    def last_sent(self) -> float | None:
        """When the prompt cache was last used, as far as may be."""
        return max((at for at in (self.asked_at, self.answered_at) if at is not None), default=None)


class Found(NamedTuple):
    """A branch, and how many messages of a request are known to have gone out on it."""

    branch: Branch
    known: int


class Store(Protocol):
    """Where branches are kept."""

    def find(self, digests: Sequence[bytes], head: bytes | None) -> Found | None:
        """The branch that has as many of the messages as possible, behind `head`, or behind any (None)."""

    def save(self, branch: Branch, digest: bytes) -> bool:
        """Keep `branch`, whose last request ends with `digest`; False where its policy has been changed meanwhile.

        The version of a branch with a new policy is one more than that of the branch that it was made from.
        """

    def settle(self, branch_id: str, asked_at: float, *, answered: bool) -> None:
        """Note how the request that was sent at `asked_at` ended."""

    def close(self) -> None:
        """Let go of what is open; it is opened again where it is needed."""


def new_id() -> str:
    """An id for a new branch."""
    return secrets.token_hex(16)

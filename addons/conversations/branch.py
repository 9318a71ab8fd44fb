"""A path that a conversation takes, and where such paths are kept."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from compression_engine import Policy

__all__ = ["Branch", "Cache", "Found", "Store", "StoreError", "Wanted", "new_id"]

# So many requests of which the end is not known are remembered.
_MOST_ASKED = 16


@dataclass(frozen=True, slots=True)
class Cache:
    """What the service may hold of branches that went out with the same beginning; using one keeps that of all.

    Times are seconds since 1970, of the start of a request: `asked` of those whose outcome is not known, `answered_at`
    of the last that the service answered. The service `keeps` it for so many seconds after its last use: the most that
    any request asked for.
    """

    id: str
    keeps: float = 300.0
    asked: tuple[float, ...] = ()
    answered_at: float | None = None

    @property
    def last_sent(self) -> float | None:
        """When it was last used, as far as may be."""
        return max((*self.asked, *(() if self.answered_at is None else (self.answered_at,))), default=None)

    def used(self, at: float, keeps: float) -> Cache:
        """The cache once a request is on its way that was sent `at`."""
        return replace(self, keeps=max(self.keeps, keeps), asked=(*self.asked, at)[-_MOST_ASKED:])

    def settled(self, at: float, *, answered: bool) -> Cache:
        """The cache once that request has ended."""
        asked = list(self.asked)
        if at in asked:
            asked.remove(at)
        if not answered:
            return replace(self, asked=tuple(asked))
        # How earlier ones ended does not matter any more.
        later = tuple(one for one in asked if one > at)
        return replace(self, asked=later, answered_at=max(self.answered_at or at, at))


@dataclass(frozen=True, slots=True)
class Branch:
    """A path of a conversation, and how it went out last.

    `head` stands for what is cached before the messages, `count` is how many messages the last request had. `version`
    counts the requests. `holdout`: the conversation is left alone from its first request to its last, for comparison.
    """

    id: str
    head: bytes
    count: int
    cache: Cache
    policy: Policy = field(default_factory=Policy)
    version: int = 0
    holdout: bool = False


class Found(NamedTuple):
    """A branch, and how many messages of a request are known to have gone out on it."""

    branch: Branch
    known: int

    @property
    def goes_on(self) -> bool:
        """Whether all of the branch stands in the request."""
        return self.known == self.branch.count


type Wanted = Callable[[Branch], bool]


class StoreError(Exception):
    """A store that lies elsewhere cannot be used; a few words say why, without content or secrets."""


class Store(Protocol):
    """Where branches are kept."""

    @property
    def is_near(self) -> bool:
        """Whether using it takes no time to speak of: nothing of it lies on the other side of a network."""

    def find(self, digests: Sequence[bytes], head: bytes | None, wanted: Wanted | None = None) -> Found | None:
        """The branch that has as many of the messages as possible, behind `head`, or behind any (None).

        Only one that is `wanted`, if that is given.
        """

    def save(self, branch: Branch, digests: Sequence[bytes], known: int = 0) -> bool:
        """Keep `branch`, whose last request has the messages with `digests`.

        The first `known` of them lead to its cache already, unless that is not known here. False where the branch has
        been changed meanwhile: the version must be above that which is kept.
        """

    def settle(self, cache_id: str, asked_at: float, *, answered: bool) -> None:
        """Note how the request that was sent at `asked_at` ended."""

    def close(self) -> None:
        """Let go of what is open; it is opened again where it is needed."""


def new_id() -> str:
    """An id for a new branch or cache."""
    return secrets.token_hex(16)

"""What is decided about a conversation outside the engine, and handed in with each request.

A policy says what went out before, so that it goes out the same again, and what of it is set aside. It changes only
where the prompt cache is cold.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["RULES_VERSION", "Place", "Policy"]

RULES_VERSION = 1
"""The newest version of the rules by which results are written, see `rules`. It changes whenever the same body would
come out differently under the same policy."""


class Place(NamedTuple):
    """Where a tool result stands: the number of its message, and which of the results in it, both from 0."""

    message: int
    result: int


class Policy(NamedTuple):
    """How a conversation is written.

    `raw` are ranges of messages, first and end, whose results go out as the client sent them; `aside` are the results
    that are set aside, in order. Behind `work` characters of results, written shorter or not, the others go out as
    they are and are not looked into: that bounds what a conversation can cost, the same wherever it is worked on.
    """

    raw: tuple[tuple[int, int], ...] = ()
    aside: tuple[Place, ...] = ()
    rules: int = RULES_VERSION
    work: int = 8_000_000

    @property
    def raw_beginning(self) -> int:
        """How many of the first messages go out as the client sent them, one behind the other."""
        return self.raw[0][1] if self.raw and not self.raw[0][0] else 0

    def is_raw(self, message: int) -> bool:
        """Whether the results of this message go out as the client sent them."""
        return any(first <= message < end for first, end in self.raw)

    def up_to(self, count: int) -> Policy:
        """What of this concerns the first `count` messages."""
        raw = tuple((first, min(end, count)) for first, end in self.raw if first < count)
        return self._replace(raw=raw, aside=tuple(place for place in self.aside if place.message < count))

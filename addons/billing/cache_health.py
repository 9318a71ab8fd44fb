"""Whether a request found in the prompt cache what the one before it left there, and why not.

The service reads the whole of what it holds, or up to a place where an earlier request ended. Tools and system prompt
are read also where a conversation's own part is gone, since other conversations share them: a request that reads no
more than the first one of its conversation left has lost its own part.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from billing.entry import Entry
from billing.last_request import Last
from billing.prices import Ratios
from billing.usage import Usage

__all__ = ["Cause", "Health", "health_of"]

# Fewer missing tokens than these are none: steps in which a service caches, a mark that stands before the end.
_SLACK = 512
_MINUTES_5, _HOUR = 300.0, 3600.0  # how long the service keeps a prefix, as Anthropic says


class Cause(StrEnum):
    """Why less was read than was there."""

    HIT = "hit"
    EXPIRED = "expired"
    CLIENT = "client"
    OURS = "ours"
    UNKNOWN = "unknown"

    @property
    def sentence(self) -> str:
        """The same for a person to read."""
        return _SENTENCES[self]


_SENTENCES = {
    Cause.HIT: "The prompt cache was read as expected.",
    Cause.EXPIRED: "The pause was longer than the service keeps a prompt cache.",
    Cause.CLIENT: "The client changed or took back something that it had sent before.",
    Cause.OURS: "We wrote old results in another way although the cache was still warm.",
    Cause.UNKNOWN: "The service had less in its cache than it should: it may have been busy, another request may still "
    "have been written there, or it left out old thinking.",
}


@dataclass(frozen=True, slots=True)
class Health:
    """`expected` tokens stood in the cache, and `lost` of them were not read though they should have been.

    `units` is what the loss cost, in the price of one uncached input token. `lifetime` is how many seconds the service
    says that it keeps what this conversation writes.
    """

    cause: Cause
    expected: int
    lost: int
    units: float = 0.0
    lifetime: float = _MINUTES_5

    @property
    def is_ours(self) -> bool:
        """Whether we made the request dearer."""
        return self.cause is Cause.OURS

    @property
    def is_expired(self) -> bool:
        """Whether it came too late."""
        return self.cause is Cause.EXPIRED


def health_of(entry: Entry, before: Last, ratios: Ratios) -> Health | None:
    """How the request of `entry` met the cache that `before` left; None where nothing was to be expected."""
    usage = entry.usage
    if usage is None or not before.cached:
        return None
    # A client that went back to an earlier place does not say all that was said before.
    expected = before.cached if entry.prefix_kept else min(before.cached, usage.input)
    lifetime = _HOUR if before.asks_hour else _MINUTES_5
    lost = expected - usage.cache_read
    if lost <= (0 if entry.moved else _SLACK):
        return Health(Cause.HIT, expected, 0, 0.0, lifetime)
    units = lost * (ratios.new_token(usage) - ratios.cache_read)
    return Health(_cause(entry, usage, before, lifetime), expected, lost, units, lifetime)


def _cause(entry: Entry, usage: Usage, before: Last, lifetime: float) -> Cause:
    # Nobody else has the first message. A service that finds it had the rest of the conversation as well; that it does
    # not find it need not mean that it had not: it looks only so many blocks back.
    is_warm = 0 < before.first_cached <= usage.cache_read
    is_late = entry.gap is not None and entry.gap > lifetime
    if not entry.prefix_kept:
        return Cause.CLIENT
    if entry.moved and (is_warm or not (entry.is_cold or is_late)):
        return Cause.OURS
    return Cause.EXPIRED if entry.is_cold or is_late else Cause.UNKNOWN

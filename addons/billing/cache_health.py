"""Whether a request found in the prompt cache what the one before it left there, and why not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from billing.entry import Entry

if TYPE_CHECKING:
    from billing.accounts import Last

__all__ = ["Cause", "Health", "health_of"]

_HIT = 0.9  # of what was there; the rest may be tokens behind the last mark
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
    Cause.OURS: "Old results were set aside although the cache was still warm.",
    Cause.UNKNOWN: "The service had less in its cache than it should: it may have been busy, or another request was "
    "still being written there.",
}


@dataclass(frozen=True, slots=True)
class Health:
    """`expected` tokens stood in the cache, and `lost` of them were not read though they should have been."""

    cause: Cause
    expected: int
    lost: int

    @property
    def is_ours(self) -> bool:
        """Whether we made the request dearer."""
        return self.cause is Cause.OURS


def health_of(entry: Entry, before: Last) -> Health | None:
    """How the request of `entry` met the cache that `before` left; None where nothing was to be expected."""
    usage = entry.usage
    if usage is None or not before.cached:
        return None
    lost = max(0, before.cached - usage.cache_read)
    if usage.cache_read >= _HIT * before.cached:
        return Health(Cause.HIT, before.cached, 0)
    # Other conversations share tools and system prompt, and nobody the first message: with that, the cache was warm.
    is_warm = usage.cache_read >= before.first_cached
    lifetime = _HOUR if before.asks_hour else _MINUTES_5
    if not entry.prefix_kept:
        cause = Cause.CLIENT
    elif entry.moved and is_warm:
        cause = Cause.OURS
    elif entry.is_cold or (entry.gap is not None and entry.gap > lifetime):
        cause = Cause.EXPIRED
    else:
        cause = Cause.UNKNOWN
    return Health(cause, before.cached, lost)

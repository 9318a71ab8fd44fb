"""What a request left in the service's prompt cache, and how much had been removed in front of which place of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from billing.entry import Entry
from billing.prices import WITHOUT_WRITES
from billing.usage import Usage

__all__ = ["Last", "Mark", "remembered"]

_MOST_MARKS = 32
_NEWEST = 16
# OpenAI caches by itself, in steps of 128 tokens and from 1024 on, and does not say what it wrote.
_STEP, _LEAST = 128, 1024


class Mark(NamedTuple):
    """A place in a prompt: so many of the service's tokens stand in front of it.

    `removed` are tokens of ours (o200k_base) that were left out there. No factor is in them: it is learned meanwhile.
    """

    tokens: int
    removed: int


@dataclass(frozen=True, slots=True)
class Last:
    """The last request of a conversation that told its usage.

    `cached` is how much the service holds of it, while it does, and `first_cached` how much of the first one. `marks`
    are the places up to which requests were cached, from the front; the service reads up to one of them. In the first
    `bare` tokens stands no result: tools, system prompt and the first words. `observes`: `removed` was not removed,
    only measured.
    """

    entry: Entry
    usage: Usage
    cached: int
    first_cached: int = 0
    bare: int = 0
    marks: tuple[Mark, ...] = ()
    asks_hour: bool = False
    observes: bool = False

    @property
    def removed(self) -> int:
        """What was left out of all of it that is cached, in tokens of ours."""
        return self.marks[-1].removed if self.marks else 0

    def seen_as(self, *, observes: bool) -> Last:
        """The same for a request that observes, or does not: its marks are of no use to it if they are of the other."""
        if self.observes is observes:
            return self
        return replace(self, observes=observes, marks=self.marks if not self.removed else ())

    def removed_in(self, read: int, whole: Mark) -> float:
        """How many tokens of ours had been left out of the first `read` of a request that goes on from this one.

        `whole` is the end of that request. Exact where the service read up to a place that is marked; between two of
        them what was removed is taken to be spread evenly.
        """
        here = Mark(self.bare, 0)
        if read <= here.tokens:
            return 0.0
        for mark in (*self.marks, whole):
            if read <= mark.tokens:
                share = (read - here.tokens) / (mark.tokens - here.tokens)
                return here.removed + share * (mark.removed - here.removed)
            here = mark
        return float(here.removed)


def remembered(entry: Entry, usage: Usage, removed: int, before: Last | None, *, observes: bool) -> Last:
    """What is to be known of a request when the next one comes. `before` is the one that it goes on from."""
    cached = _cached(entry, usage)
    if before is None:
        bare = 0 if entry.results or removed else cached
        kept: tuple[Mark, ...] = ()
    else:
        bare = before.bare
        kept = before.marks
        if entry.moved or not entry.prefix_kept:  # what was read is the same as before, the rest is not
            kept = tuple(mark for mark in kept if mark.tokens <= usage.cache_read)
    kept = tuple(mark for mark in kept if bare < mark.tokens < cached)
    if len(kept) > _MOST_MARKS:
        kept = kept[:-_NEWEST:2] + kept[-_NEWEST:]
    return Last(
        entry,
        usage,
        cached,
        before.first_cached if before is not None else cached,
        bare,
        (*kept, Mark(cached, removed)) if cached > bare else kept,
        usage.cache_write_1h > 0 or (before is not None and before.asks_hour),
        before.observes if before is not None else observes,
    )


def _cached(entry: Entry, usage: Usage) -> int:
    if entry.endpoint not in WITHOUT_WRITES:
        return usage.cache_read + usage.cache_write
    return max(usage.cache_read, usage.input // _STEP * _STEP if usage.input >= _LEAST else 0)

"""What input tokens cost, in units of one plain input token, and where in a request's prompt the cache began and ended.

The service bills a prompt in order: a prefix from the cache, then what it writes to the cache, then the rest. So the
usage of a request tells the price at every position of its prompt, and the usage of the request that first sent a
message tells the position of that message.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["PRICES", "Bill", "Segment", "Usage", "place"]


class Prices(NamedTuple):
    """Units a token."""

    plain: float
    write_5m: float
    write_1h: float
    read: float


PRICES = Prices(plain=1.0, write_5m=1.25, write_1h=2.0, read=0.1)


class Usage(NamedTuple):
    """The input of one request, in billed tokens."""

    plain: int = 0
    write_5m: int = 0
    write_1h: int = 0
    read: int = 0

    @classmethod
    def read_from(cls, value: object) -> Usage | None:
        """From the `usage` of an API message; None where it bills no input."""
        if not isinstance(value, dict):
            return None
        split = value.get("cache_creation")
        long_lived = _count(split, "ephemeral_1h_input_tokens")
        written = max(_count(value, "cache_creation_input_tokens"), long_lived)
        usage = cls(
            _count(value, "input_tokens"), written - long_lived, long_lived, _count(value, "cache_read_input_tokens")
        )
        return usage if usage.total else None

    @property
    def total(self) -> int:
        """The length of the prompt."""
        return self.plain + self.write_5m + self.write_1h + self.read

    @property
    def units(self) -> float:
        """What the prompt cost."""
        return sum(count * price for count, price in zip(self, PRICES, strict=True))

    def price_between(self, start: float, end: float) -> float:
        """What a token between two positions of the prompt cost, on average."""
        written = self.write_5m + self.write_1h
        from_cache = _overlap(start, end, 0, self.read)
        to_cache = _overlap(start, end, self.read, self.read + written)
        rest = end - start - from_cache - to_cache
        return (from_cache * PRICES.read + to_cache * self.write_price + rest * PRICES.plain) / (end - start)

    @property
    def write_price(self) -> float:
        """What a token that was written to the cache cost, on average."""
        written = self.write_5m + self.write_1h
        return (
            (self.write_5m * PRICES.write_5m + self.write_1h * PRICES.write_1h) / written
            if written
            else PRICES.write_5m
        )

    def written_from(self, start: float) -> Usage:
        """The same prompt, had nothing of it from the position `start` on been in the cache."""
        kept = min(self.read, int(start))
        if self.write_1h:
            return self._replace(read=kept, write_1h=self.write_1h + self.read - kept)
        return self._replace(read=kept, write_5m=self.write_5m + self.read - kept)

    def units_of_one_more_call(self, later: int) -> float:
        """What it costs to read something again in a call after this request, which `later` ones follow.

        An assumption: the call reads the whole prompt from the cache and asks in 150 tokens of output, 5 units each;
        the 1,500 tokens that come back are written once and read by every later request.
        """
        return self.total * PRICES.read + 150 * 5 + 1500 * (self.write_price + PRICES.read * later)


@dataclass(slots=True)
class Bill:
    """The input of many requests, in billed tokens and in units."""

    requests: int = 0
    usage: Usage = field(default_factory=Usage)

    def add(self, usage: Usage) -> None:
        """Count one more request."""
        self.merge(Bill(1, usage))

    def merge(self, other: Bill) -> None:
        """Count all requests of another bill."""
        self.requests += other.requests
        self.usage = Usage(*(one + more for one, more in zip(self.usage, other.usage, strict=True)))


@dataclass(slots=True)
class Segment:
    """Where in the prompts of a context stands what one request sent first: from `start` to `end`, in billed tokens."""

    start: float
    end: float


def place(segments: list[Segment], before: int, total: int, likely: int) -> Segment:
    """The place of what a request of `total` tokens sent first, when the prompt before it was `before` tokens long.

    `segments` are the earlier ones, in order; they are moved where the prompt grew by less than it should have: the
    client leaves out old thinking, or more. `likely` is an estimate of what is new, used only then. A prompt that
    shrank to less than half was cut in a way that the transcript does not tell: nothing earlier is taken to be in it.
    What is no longer in it gets a place that is empty.
    """
    if total > before:
        return Segment(before, total)
    start = float(max(0, total - max(1, likely)))
    if total < before / 2:
        start = 0.0
    moved = before - start
    for segment in segments:
        if segment.end > start:
            segment.start = max(0.0, segment.start - moved)
            segment.end = max(0.0, segment.end - moved)
    return Segment(start, total)


def _overlap(start: float, end: float, low: float, high: float) -> float:
    return max(0.0, min(end, high) - max(start, low))


def _count(value: object, name: str) -> int:
    found = value.get(name) if isinstance(value, dict) else None
    return max(0, found) if isinstance(found, int) else 0

"""A service with a prompt cache and true token counts, and conversations that go to it with and without us."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate

from billing.entry import Change, Entry
from billing.usage import Usage
from tests.billing.entries import entry

__all__ = ["LIFETIME", "Service", "Talk"]

LIFETIME = 300.0
FACTOR = 1.5
"""Tokens of the service for one of ours."""

type Part = tuple[str, int]
"""Something that is sent: what it is, and how many tokens it has."""


@dataclass
class Service:
    """Remembers every beginning that was sent for `LIFETIME` seconds after its last use."""

    until: dict[tuple[Part, ...], float] = field(default_factory=dict)

    def bill(self, now: float, parts: list[Part], output: int) -> Usage:
        beginnings = [tuple(parts[: count + 1]) for count in range(len(parts))]
        sizes = list(accumulate(size for _, size in parts))
        known = [size for size, one in zip(sizes, beginnings, strict=True) if self.until.get(one, 0.0) > now]
        self.until |= dict.fromkeys(beginnings, now + LIFETIME)
        read = max(known, default=0)
        return Usage(cache_read=read, cache_write_5m=sizes[-1] - read, output=output)


@dataclass
class Result:
    """A tool result: its tokens, how many of them are left out when it is new, and how many when it is set aside."""

    size: int
    folded: int
    aside: int


@dataclass
class Talk:
    """One conversation, sent to two services: as it is rewritten, and as the client wrote it."""

    rewriting: Service
    plain: Service
    name: str = "talk"
    now: float = 1000.0
    last: float | None = None
    results: list[Result] = field(default_factory=list)
    set_aside: int = 0  # so many of the results, the oldest
    entries: list[Entry] = field(default_factory=list)
    bills: list[Usage] = field(default_factory=list)

    def send(self, pause: float, result: Result, *, sets_aside: bool = False, output: int = 40) -> None:
        """The next request: after a pause, with one more result, and perhaps with older ones set aside.

        In front of the first one goes the question alone.
        """
        if self.last is None:
            self._request(0, moved=False, output=output)
        self.now += pause
        self.results.append(result)
        moved = sets_aside and self.set_aside < len(self.results) - 1
        if moved:
            self.set_aside = len(self.results) - 1
        self._request(round((result.size - result.folded) / FACTOR), moved=moved, output=output)

    def _request(self, counted: int, *, moved: bool, output: int) -> None:
        gap = None if self.last is None else self.now - self.last
        removed = sum(self._removed(number) for number in range(len(self.results)))
        sent = self.rewriting.bill(self.now, self._parts(rewritten=True), output)
        self.bills.append(self.plain.bill(self.now, self._parts(rewritten=False), output))
        self.entries.append(
            entry(
                self.now,
                conversation=self.name,
                follows=self.name if self.last is not None else "",
                gap=gap,
                is_cold=gap is not None and gap > LIFETIME,
                moved=moved,
                counted=counted,
                changes=(Change("Read", "numbered", 1, round(removed / FACTOR) + 9, 9),),
                usage=sent,
            )
        )
        self.last = self.now

    def _removed(self, number: int) -> int:
        result = self.results[number]
        return result.aside if number < self.set_aside else result.folded

    def _parts(self, *, rewritten: bool) -> list[Part]:
        """Tools and system prompt are the same for all; what the assistant says is as long as its output was."""
        parts: list[Part] = [("head", 2000), (f"{self.name} asks", 100)]
        for number, result in enumerate(self.results):
            removed = self._removed(number) if rewritten else 0
            parts.append((f"{self.name} answers {number}", 40))
            parts.append((f"{self.name} {number} without {removed}", result.size - removed))
        return parts

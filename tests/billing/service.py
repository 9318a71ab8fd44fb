"""A service with a prompt cache and true token counts, and conversations that go to it with and without us.

It does what Anthropic says that theirs does: what is cached ends where a request has a mark, which is behind the head
(tools and system prompt) and behind the last message, and a request reads up to the last such place that is still kept.
A few tokens behind the last mark are billed as they are. It is told of no rewriting; both bills are its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import accumulate, count

from billing.entry import Change, Ending, Entry
from billing.usage import Usage
from tests.billing.entries import entry

__all__ = ["FACTOR", "HEAD", "LIFETIME", "Result", "Service", "Talk"]

LIFETIME = 300.0
FACTOR = 1.5
"""Tokens of the service for one of ours."""
HEAD = 2000
_FIRST, _ANSWER, _TAIL = 600, 40, 3

type Part = tuple[str, int]
"""Something that is sent: what it is, and how many tokens it has."""


@dataclass
class Service:
    """`lifetime` in seconds; `looks_back` over so many parts from the last mark, and always at the head."""

    lifetime: float = LIFETIME
    looks_back: int = 10**6
    asks_hour: bool = False
    until: dict[tuple[Part, ...], float] = field(default_factory=dict)

    def bill(self, now: float, parts: list[Part], output: int) -> Usage:
        sizes = list(accumulate(size for _, size in parts))
        kept = [1, *range(max(2, len(parts) - self.looks_back), len(parts) + 1)]
        read = max((size for size in kept if self.until.get(tuple(parts[:size]), 0.0) > now), default=0)
        marked = {1, read, len(parts)} - {0}
        self.until |= {tuple(parts[:size]): now + self.lifetime for size in marked}
        read_tokens = sizes[read - 1] if read else 0
        written = sizes[-1] - read_tokens
        return Usage(
            uncached=_TAIL,
            cache_read=read_tokens,
            cache_write_5m=0 if self.asks_hour else written,
            cache_write_1h=written if self.asks_hour else 0,
            output=output,
        )

    def forget(self) -> None:
        """Lose everything but the head, as a service may."""
        self.until = {parts: until for parts, until in self.until.items() if len(parts) == 1}


@dataclass(frozen=True)
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
    messages: list[tuple[str, Result]] = field(default_factory=list)
    set_aside: int = 0  # so many of the results, the oldest
    is_raw: bool = False
    head: str = "head"
    entries: list[Entry] = field(default_factory=list)
    bills: list[Usage] = field(default_factory=list)
    numbers: count[int] = field(default_factory=count)

    def send(self, pause: float, result: Result, *, sets_aside: bool = False, output: int = _ANSWER) -> None:
        """The next request: after a pause, with one more result, and perhaps with older ones set aside.

        In front of the first one goes the question alone.
        """
        if self.last is None:
            self.messages.append((f"{self.name} asks", Result(_FIRST, 0, 0)))
            self._request(0, output=output)
        self.now += pause
        self._add(result)
        moved = sets_aside and self.set_aside < len(self.messages) - 1
        if moved:
            self.set_aside = len(self.messages) - 1
        self._request(round((result.size - result.folded) / FACTOR), moved=moved, output=output)

    def repeat(self, pause: float) -> None:
        """The same request again."""
        self.now += pause
        self._request(0)

    def is_cut_short(self, pause: float, result: Result) -> None:
        """A request that the service took, and whose client left before it was told of the usage."""
        self.now += pause
        self._add(result)
        self._request(0)
        self.entries[-1] = replace(self.entries[-1], usage=None, ending=Ending.CLIENT_LEFT)
        self.bills[-1] = Usage()

    def is_refused(self, pause: float) -> None:
        """A request that neither reads the cache nor keeps it."""
        self.now += pause
        last, gap = self.last, self.now - (self.last or self.now)
        one = replace(self.entries[-1], at=self.now, gap=gap, usage=None, status=529, ending=Ending.REFUSED)
        self.entries.append(one)
        self.bills.append(Usage())
        self.last = last

    def switch_off(self, pause: float) -> None:
        """From now on it goes out as the client writes it."""
        self.now += pause
        moved = not self.is_raw
        self.is_raw = True
        self._request(0, moved=moved)

    def change_head(self, pause: float) -> None:
        """The client changes its system prompt."""
        self.now += pause
        self.head += "'"
        self._request(0, prefix_kept=False)

    def fork(self, kept: int, pause: float, result: Result, *, sets_aside: bool = False) -> None:
        """Go on from the first `kept` messages, as another conversation."""
        follows = self.name
        self.name = f"{self.name} {next(self.numbers)}"
        self.now += pause
        kept = max(1, min(kept, len(self.messages) - 1))
        del self.messages[kept:]
        self.set_aside = min(self.set_aside, kept)
        self._add(result)
        moved = sets_aside and self.set_aside < len(self.messages) - 1
        if moved:
            self.set_aside = len(self.messages) - 1
        self._request(0, follows=follows, moved=moved, prefix_kept=False)

    def _add(self, result: Result) -> None:
        self.messages.append((f"{self.name} {next(self.numbers)}", result))

    def _request(
        self,
        counted: int,
        *,
        moved: bool = False,
        prefix_kept: bool = True,
        follows: str | None = None,
        output: int = _ANSWER,
    ) -> None:
        gap = None if self.last is None else self.now - self.last
        removed = sum(self._removed(number) for number in range(len(self.messages)))
        sent = self.rewriting.bill(self.now, self._parts(rewritten=True), output)
        self.bills.append(self.plain.bill(self.now, self._parts(rewritten=False), output))
        self.entries.append(
            entry(
                self.now,
                conversation=self.name,
                follows=self.name if follows is None and self.last is not None else follows or "",
                outcome="off" if self.is_raw else "rewritten" if removed else "nothing-to-do",
                gap=gap,
                is_cold=gap is not None and gap > LIFETIME,
                moved=moved,
                prefix_kept=prefix_kept,
                results=len(self.messages) - 1,
                counted=counted,
                changes=(Change("Read", "numbered", 1, round(removed / FACTOR) + 9, 9),) if removed else (),
                usage=sent,
            )
        )
        self.last = self.now

    def _removed(self, number: int) -> int:
        if self.is_raw:
            return 0
        result = self.messages[number][1]
        return result.aside if number < self.set_aside else result.folded

    def _parts(self, *, rewritten: bool) -> list[Part]:
        """Tools and system prompt are the same for all; what the assistant says is as long as its output was."""
        parts: list[Part] = [(self.head, HEAD)]
        for number, (name, result) in enumerate(self.messages):
            if number:
                parts.append((f"{name} after an answer", _ANSWER))
            removed = self._removed(number) if rewritten else 0
            parts.append((f"{name} without {removed}", result.size - removed))
        return parts

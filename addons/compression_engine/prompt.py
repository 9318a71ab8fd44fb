"""A request body, read as far as it takes to decide what is done to it.

A body mostly begins as the last one of its conversation did, and ends as it did: only what stands between is new. So
the beginnings and ends of recent bodies are kept, and a body that fits one is read from there on.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

from compression_engine.body import NotUnderstood, Span, elements
from compression_engine.conversation import candidates
from compression_engine.formats import Format
from compression_engine.formats.message import Request
from compression_engine.memory import chain
from compression_engine.policy import Place, Policy
from compression_engine.set_aside import Setting, choose

__all__ = ["Beginning", "Beginnings", "Prompt"]

_HOUR = 3600.0
_ASKS_HOUR = re.compile(rb'"ttl"[ \t\r\n]*:[ \t\r\n]*"1h"')


@dataclass(frozen=True, slots=True)
class Beginning:
    """What bodies of one conversation have in common: `text` up to the message `count`, and `end` behind the messages.

    `digests` are those of the first `count` messages; one more, of `last` bytes, stood behind them. `sent` is what
    `text` became under `policy`. They are views of the bodies that they stand in: copies would take as much again.
    """

    wire: Format
    text: memoryview
    end: memoryview
    count: int
    last: int
    digests: tuple[bytes, ...]
    answered: int
    keeps: float
    request: Request
    policy: Policy
    sent: memoryview

    def fits(self, body: bytes) -> bool:
        """Whether `body` begins and ends so."""
        return len(self.text) + len(self.end) <= len(body) and body.startswith(self.text) and body.endswith(self.end)

    def new_in(self, body: bytes) -> int:
        """About how many bytes of a body that fits have not been worked on; its last message was spelt otherwise."""
        return max(0, self.unread_in(body) - self.last)

    def unread_in(self, body: bytes) -> int:
        """How many bytes of a body that fits have to be read."""
        return len(body) - len(self.text) - len(self.end)

    @property
    def size(self) -> int:
        """Bytes of memory, those of the two bodies."""
        return len(self.text) + len(self.sent) + 2 * (self.last + len(self.end))


class Beginnings:
    """Recent beginnings in at most about `limit` bytes; the least recently used are given up.

    Several threads may use it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = Lock()
        self._known: OrderedDict[bytes, Beginning] = OrderedDict()  # by the digest of the last message
        self._size = 0

    def find(self, body: bytes, wire: Format) -> Beginning | None:
        """The latest one that `body`, of the format `wire`, fits."""
        with self._lock:
            fitting = (known for known in reversed(self._known.values()) if known.wire is wire and known.fits(body))
            return next(fitting, None)

    def add(self, beginning: Beginning, instead_of: Beginning | None = None) -> None:
        """Keep one, in place of the one that it grew from."""
        with self._lock:
            self._drop(beginning.digests[-1])
            if instead_of is not None:
                self._drop(instead_of.digests[-1])
            self._known[beginning.digests[-1]] = beginning
            self._size += beginning.size
            while self._size > self._limit and self._known:
                self._drop(next(iter(self._known)))

    def forget(self, digest: bytes) -> None:
        """Give up the one whose messages `digest` stands for, if it is kept."""
        with self._lock:
            self._drop(digest)

    def _drop(self, key: bytes) -> None:
        dropped = self._known.pop(key, None)
        self._size -= dropped.size if dropped else 0


class Prompt:
    """What a body says, besides the contents of its messages.

    `digests` has for every message a hash that stands for it and all before it. The first `answered` messages, up to
    the assistant's last, may have been sent before; those behind them are new, unless the request is sent again. The
    service keeps what it caches of them for `keeps` seconds, as the body asks. `is_kept` is what the body says of that,
    see `Request`, unless somebody knows better.
    """

    def __init__(self, body: bytes, wire: Format, seed: bytes, known: Beginning | None) -> None:
        self.body = body
        self.wire = wire
        spans = _between(body, known) if known else None
        if known is None or spans is None:
            known = None
            self.request = wire.read(body)
            spans = list(self.request.messages)
        else:
            self.request = known.request
        self.is_kept = self.request.is_kept
        self._is_compaction = False  # as far as somebody has said so
        self.beginning = known
        self.first = known.count if known else 0  # the message that `spans` start with; 0: nothing is taken as known
        self.spans = spans
        self._raws = [body[start:end] for start, end in spans]
        self._canonical = [wire.canonical(raw) for raw in self._raws]
        before = known.digests if known else ()
        self.digests = (*before, *chain(before[-1] if before else seed, self._canonical))
        answers = [self.first + at + 1 for at, raw in enumerate(self._raws) if wire.is_answer(raw)]
        self.answered = max(answers, default=known.answered if known else 0)
        start, end = (len(known.text), len(body) - len(known.end)) if known else (0, len(body))
        keeps = known.keeps if known else self.request.keeps
        self.keeps = max(keeps, _HOUR) if _ASKS_HOUR.search(body, start, end) else keeps

    @property
    def count(self) -> int:
        """How many messages there are."""
        return len(self.digests)

    @property
    def head(self) -> bytes:
        """Stands for what the service caches in front of the messages."""
        return self.request.head

    def answers(self, start: int) -> int:
        """How many answers of the assistant there are from message `start` on; one may have several in a row."""
        are = [self.wire.is_answer(raw) for raw, _, _ in self.messages(start)]
        return sum(is_one and not before for is_one, before in zip(are, [False, *are], strict=False))

    @property
    def is_compaction(self) -> bool:
        """Whether the client asks for a summary that will take the place of the conversation.

        Observed: Claude Code then leaves its cache mark on the assistant's last message and sets none behind it.
        """
        if self._is_compaction:
            return True
        # Of a body that was sent before, all but the last message is taken as known.
        *before, last = (raw for raw, _, _ in self.messages(max(0, self.count - 4)))
        if self.wire.is_marked(last):
            return False
        return any(self.wire.is_marked(raw) and self.wire.is_answer(raw) for raw in before)

    def take_for_compaction(self) -> None:
        """Somebody knows that the client asks for a summary, whatever the body says: nobody goes on from that."""
        self._is_compaction, self.is_kept = True, False

    def complete(self) -> None:
        """Read what was taken as known, too."""
        if self.first:
            self.spans = list(self.wire.read(self.body).messages)
            self._raws = [self.body[start:end] for start, end in self.spans]
            self._canonical = [self.wire.canonical(raw) for raw in self._raws]
            self.first = 0

    def messages(self, start: int) -> list[tuple[bytes, bytes, Span]]:
        """The messages from `start` on: as they stand in the body, in the form that they keep, and where they stand."""
        if start < self.first:
            self.complete()
        at = start - self.first
        return list(zip(self._raws[at:], self._canonical[at:], self.spans[at:], strict=True))

    def canonical(self) -> Sequence[bytes]:
        """All messages in the form that they keep from turn to turn."""
        self.complete()
        return self._canonical

    def choose(self, setting: Setting, since: int = 0) -> tuple[Place, ...]:
        """What would be set aside of the messages that were sent before, from message `since` on.

        Nothing where it could not be read again: without a tool for that, or where the next request need not hold it.
        """
        request = self.request
        if not request.can_read_files or request.drops_old_results or self.is_kept:
            return ()
        return choose(candidates(self.canonical(), self.wire.parse, self.answered), setting, since=since)


def _between(body: bytes, known: Beginning) -> list[Span] | None:
    """Where the messages stand between a beginning and its end; None where other things stand there."""
    start = len(known.text)
    try:
        spans = elements(b"[%b]" % body[start : len(body) - len(known.end)], start - 1)
    except NotUnderstood:
        return None
    return spans or None

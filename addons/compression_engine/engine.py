"""The engine's entries: `Engine.rewrite` for a body on its way to the service, `restore` to undo it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain as concatenated

from compression_engine.body import NotUnderstood, Span, Splice, splice
from compression_engine.conversation import Conversation
from compression_engine.formats import FORMATS, WireFormat
from compression_engine.memory import Memory, chain
from compression_engine.results import ResultChange

__all__ = ["RULES_VERSION", "Engine", "Outcome", "ResultChange", "Rewrite", "restore"]

RULES_VERSION = 1
"""Changes whenever the same body would come out differently."""


class Outcome(StrEnum):
    """What became of a body."""

    REWRITTEN = "rewritten"
    NOTHING_TO_DO = "nothing-to-do"  # understood; no rewrite would have saved anything
    NOT_UNDERSTOOD = "not-understood"  # not JSON, or not the shape that its wire format has
    FORMAT_NOT_REWRITTEN = "format-not-rewritten"  # recognised, but only passed through so far


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The body to send and what was done to it.

    `body` is the very object that was handed in unless `outcome` is REWRITTEN.
    """

    body: bytes
    outcome: Outcome
    changes: tuple[ResultChange, ...] = ()
    problems: frozenset[str] = frozenset()
    """Exceptions that kept results from being rewritten, by name: mistakes of ours, to be reported."""

    @property
    def tokens_removed(self) -> int:
        """o200k_base tokens that the service does not have to read, over the whole body."""
        return sum(change.tokens_before - change.tokens_after for change in self.changes)


class Engine:
    """Rewrites bodies, remembering earlier work in about `memory_bytes` bytes. Not for use by two threads at once."""

    def __init__(self, memory_bytes: int = 256 * 1024 * 1024) -> None:
        self._memory = Memory(memory_bytes)

    def rewrite(self, body: bytes, wire_format: WireFormat) -> Rewrite:
        """Rewrite `body`. Never raises for what a client may send; see `Outcome`."""
        wire = FORMATS.get(wire_format)
        if wire is None:
            return Rewrite(body, Outcome.FORMAT_NOT_REWRITTEN)
        try:
            request = wire.read(body)
        except NotUnderstood:
            return Rewrite(body, Outcome.NOT_UNDERSTOOD)
        raws = [body[start:end] for start, end in request.messages]
        canonical = [wire.canonical(raw) for raw in raws]
        may_refer = not request.drops_old_results
        seed = f"{RULES_VERSION} {wire_format} {may_refer}".encode()
        digests = chain(seed, canonical)
        conversation = self._memory.take(digests) or Conversation(may_refer=may_refer)
        done = len(conversation.turns)
        for form, digest in zip(canonical[done:], digests[done:], strict=True):
            conversation.rewrite(form, wire.parse, digest)
        self._memory.put(conversation)
        problems = frozenset(conversation.problems)
        turns = conversation.turns[: len(raws)]
        changes = tuple(change for turn in turns for change in turn.changes)
        if not changes:
            return Rewrite(body, Outcome.NOTHING_TO_DO, problems=problems)
        splices = (
            _moved(turn.splices if raw is form else turn.splices_in(raw, wire.parse), span)
            for turn, raw, form, span in zip(turns, raws, canonical, request.messages, strict=True)
            if turn.tokens
        )
        return Rewrite(splice(body, concatenated.from_iterable(splices)), Outcome.REWRITTEN, changes, problems)


def restore(body: bytes, wire_format: WireFormat = WireFormat.ANTHROPIC_MESSAGES) -> bytes:
    """`body` with every statement of the engine undone, from `body` alone. Raises NotUnderstood."""
    wire = FORMATS.get(wire_format)
    if wire is None:
        return body
    conversation = Conversation()
    splices: list[Splice] = []
    for span in wire.read(body).messages:
        turn = conversation.restore(body[span.start : span.end], wire.parse)
        splices += _moved(turn.splices, span)
    return splice(body, splices)


def _moved(splices: Sequence[Splice], message: Span) -> list[Splice]:
    """Splices of a message as splices of the body that it stands in."""
    return [Splice(message.start + start, message.start + end, token) for start, end, token in splices]

"""The engine's entries: `Engine.rewrite` for a body on its way to the service, `restore` to undo it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from compression_engine.body import NotUnderstood, Span, Splice, splice
from compression_engine.change import ResultChange
from compression_engine.conversation import NO_RESULTS, Conversation, Counts
from compression_engine.formats import FORMATS, WireFormat
from compression_engine.memory import Memory
from compression_engine.policy import Policy
from compression_engine.prompt import Beginning, Beginnings, Prompt

__all__ = ["Decide", "Engine", "Outcome", "ResultChange", "Rewrite", "restore"]


type Decide = Callable[[Prompt], Policy]
"""Says how a conversation is written, given what its request says."""

# What is read once more, the last message that was known, is quickly read up to this size: some milliseconds.
_MOST_READ_AT_ONCE = 500_000

# Which part of the memory holds the beginnings of recent bodies.
_BEGINNINGS_SHARE = 0.25


class Outcome(StrEnum):
    """What became of a body."""

    REWRITTEN = "rewritten"
    NOTHING_TO_DO = "nothing-to-do"  # understood; no rewrite would have saved anything
    NOT_UNDERSTOOD = "not-understood"  # not JSON, or not the shape that its wire format has
    STOPPED = "stopped"  # it took too long; what was done so far is kept for the next time


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
    model: str = ""
    """The deployment that the body names."""
    counts: Counts = NO_RESULTS
    """Of the tool results in the body."""
    last_message: bytes = b""
    """As it is sent, JSON."""

    @property
    def tokens_removed(self) -> int:
        """o200k_base tokens that the service does not have to read, over the whole body."""
        return sum(change.tokens_before - change.tokens_after for change in self.changes)


class Engine:
    """Rewrites bodies, remembering earlier work in about `memory_bytes` bytes. Several threads may use it at once."""

    def __init__(self, memory_bytes: int = 256 * 1024 * 1024) -> None:
        beginnings = int(memory_bytes * _BEGINNINGS_SHARE)
        self._beginnings = Beginnings(beginnings)
        self._memory = Memory(memory_bytes - beginnings)

    def rewrite(
        self,
        body: bytes,
        wire_format: WireFormat,
        decide: Decide = lambda _: Policy(),
        goes_on: Callable[[], bool] = lambda: True,
    ) -> Rewrite:
        """Rewrite `body` as `decide` says; what the two raise is raised. Otherwise never raises, see `Outcome`.

        `goes_on` is asked before each message whether to go on.
        """
        try:
            prompt = self.read(body, wire_format)
        except NotUnderstood:
            return Rewrite(body, Outcome.NOT_UNDERSTOOD)
        return self.write(prompt, decide(prompt), goes_on)

    def rewrite_if_quick(
        self, body: bytes, wire_format: WireFormat, decide: Decide, is_routine: Callable[[Prompt], bool], most: int
    ) -> Rewrite | None:
        """As `rewrite`, where `body` goes on from a known one with at most so many new bytes; else None.

        `is_routine` tells whether deciding takes no time either.
        """
        wire = FORMATS[wire_format]
        before = self._beginnings.find(body, wire)
        if before is None or before.new_in(body) > most or before.unread_in(body) > _MOST_READ_AT_ONCE:
            return None
        may_refer = not before.request.drops_old_results
        if self._memory.known(before.policy, before.digests, may_refer=may_refer) < before.count:
            return None
        prompt = Prompt(body, wire, wire_format.encode(), before)
        if prompt.beginning is None or not is_routine(prompt):
            return None
        return self.write(prompt, decide(prompt))

    def read(self, body: bytes, wire_format: WireFormat) -> Prompt:
        """What `body` says. Raises NotUnderstood."""
        wire = FORMATS[wire_format]
        return Prompt(body, wire, wire_format.encode(), self._beginnings.find(body, wire))

    def new_bytes(self, prompt: Prompt, policy: Policy) -> int:
        """How many bytes of messages `write` would have to work on."""
        known = self._memory.known(policy, prompt.digests, may_refer=not prompt.request.drops_old_results)
        return sum(len(raw) for raw, _, _ in prompt.messages(known))

    def remember(self, prompt: Prompt, policy: Policy, rewrite: Rewrite) -> None:
        """Remember how far the body of `prompt`, of which another engine made `rewrite`, need not be read again."""
        if prompt.count > 1 and prompt.spans and rewrite.last_message:
            last = prompt.spans[-1]
            behind = len(prompt.body) - last.end + len(rewrite.last_message)
            sent = memoryview(rewrite.body)[: len(rewrite.body) - behind]
            self._beginnings.add(_beginning(prompt, last, policy, sent), instead_of=prompt.beginning)

    def hand_over(self, prompt: Prompt, policy: Policy, most: int, to: Callable[[Conversation], None]) -> None:
        """Let `to` have what is known of a conversation, and forget it; not if that takes more than `most` bytes."""
        may_refer = not prompt.request.drops_old_results
        conversation = self._memory.take(policy, prompt.digests, may_refer=may_refer)
        if conversation is None:
            return
        if conversation.size > most:
            self._memory.put(conversation)
            return
        if prompt.count > 1:
            self._beginnings.forget(prompt.digests[-2])  # see `_beginning`: it ends before the last message
        to(conversation)

    def adopt(self, conversation: Conversation) -> None:
        """Go on with a conversation that another engine has handed over."""
        self._memory.put(conversation)

    def leaves_alone(self, prompt: Prompt, policy: Policy) -> bool:
        """Whether it can be told at a glance that `write` would change nothing: all results go out as they are."""
        if policy.aside or not policy.raw_beginning:
            return False
        try:
            return not any(prompt.wire.parse(form).results for _, form, _ in prompt.messages(policy.raw_beginning))
        except NotUnderstood:
            return False

    def unchanged(self, prompt: Prompt) -> Rewrite:
        """The body of `prompt`, into which nobody has looked further."""
        last = prompt.spans[-1] if prompt.spans else None
        last_message = prompt.body[last.start : last.end] if last else b""
        return Rewrite(prompt.body, Outcome.NOTHING_TO_DO, model=prompt.request.model, last_message=last_message)

    def write(self, prompt: Prompt, policy: Policy, goes_on: Callable[[], bool] = lambda: True) -> Rewrite:
        """The body of `prompt` as `policy` says; `goes_on` as for `rewrite`."""
        may_refer = not prompt.request.drops_old_results
        conversation = self._memory.take(policy, prompt.digests, may_refer=may_refer)
        if conversation is None:
            conversation = Conversation(policy, may_refer=may_refer)
        done = len(conversation.turns)
        for (_, form, _), digest in zip(prompt.messages(done), prompt.digests[done:], strict=True):
            if not goes_on():
                self._memory.put(conversation)
                return Rewrite(prompt.body, Outcome.STOPPED, model=prompt.request.model)
            conversation.rewrite(form, prompt.wire.parse, digest, prompt.canonical)
        written = self._written(prompt, conversation, policy)
        self._memory.put(conversation)  # last: from here on another thread may have it
        return written

    def _written(self, prompt: Prompt, conversation: Conversation, policy: Policy) -> Rewrite:
        """The body of `prompt` as `conversation` has it."""
        body, wire = prompt.body, prompt.wire
        turns = conversation.turns[: prompt.count]
        problems = frozenset(conversation.problems)
        changes = tuple(change for turn in turns for change in turn.changes)
        before = prompt.beginning
        if before is not None and before.policy != policy.up_to(before.count):
            self._memory.forget(before.digests[-1])  # it does not go on
            prompt.complete()
        start, sent = (len(before.text), before.sent) if before and prompt.first else (0, memoryview(b""))
        splices: list[Splice] = []
        for turn, (raw, form, span) in zip(turns[prompt.first :], prompt.messages(prompt.first), strict=True):
            if turn.tokens:
                splices += _moved(turn.splices if raw is form else turn.splices_in(raw, wire.parse), span)
        last = prompt.spans[-1] if prompt.spans else Span(len(body), len(body))
        settled = [one for one in splices if one.end <= last.start]
        rest = splice(body, splices[len(settled) :], last.start)
        new = b"".join((sent, splice(body, settled, start, last.start), rest))
        is_rewritten = changes or new != body
        if not is_rewritten:
            new = body
        if prompt.count > 1 and prompt.spans:
            # The last message is spelt differently in the next request, so what is kept ends before it.
            sent = memoryview(new)[: len(new) - len(rest)]
            self._beginnings.add(_beginning(prompt, last, policy, sent), instead_of=before)
        return Rewrite(
            new,
            Outcome.REWRITTEN if is_rewritten else Outcome.NOTHING_TO_DO,
            changes,
            problems,
            prompt.request.model,
            turns[-1].counts if turns else NO_RESULTS,
            rest[: len(rest) - (len(body) - last.end)],
        )


def _beginning(prompt: Prompt, last: Span, policy: Policy, sent: memoryview) -> Beginning:
    count = prompt.count - 1
    body = memoryview(prompt.body)
    return Beginning(
        prompt.wire,
        body[: last.start],
        body[last.end :],
        count,
        last.end - last.start,
        prompt.digests[:count],
        min(prompt.answered, count),
        prompt.keeps,
        prompt.request._replace(messages=()),
        policy.up_to(count),
        sent,
    )


def restore(body: bytes, wire_format: WireFormat = WireFormat.ANTHROPIC_MESSAGES) -> bytes:
    """`body` with every statement of the engine undone, from `body` alone. Raises NotUnderstood."""
    wire = FORMATS[wire_format]
    conversation = Conversation()
    splices: list[Splice] = []
    for span in wire.read(body).messages:
        turn = conversation.restore(body[span.start : span.end], wire.parse)
        splices += _moved(turn.splices, span)
    return splice(body, splices)


def _moved(splices: Sequence[Splice], message: Span) -> list[Splice]:
    """Splices of a message as splices of the body that it stands in."""
    return [Splice(message.start + start, message.start + end, token) for start, end, token in splices]

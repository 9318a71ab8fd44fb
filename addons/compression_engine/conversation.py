"""One conversation as the engine has seen it so far: what became of every message, and what they have shown.

Messages are fed in order, and what becomes of one depends on it, on those before it and on the policy for them alone.
So the rewritten messages of one request are a prefix of those of the next, and the provider's prompt cache is met.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from compression_engine import recall, reminders, set_aside, statements
from compression_engine.body import NotUnderstood, Span, Splice, decode_string, encode_string
from compression_engine.change import ResultChange
from compression_engine.content.lines import split_positions
from compression_engine.formats.message import FileRange, Message, ToolCall, ToolResult
from compression_engine.history import Place as Sheet
from compression_engine.history import Shown, edit_of
from compression_engine.policy import Place, Policy
from compression_engine.results import Folded, Source, unfold
from compression_engine.rules import fold_of
from compression_engine.set_aside import Candidate

__all__ = ["NO_RESULTS", "SET_ASIDE", "Conversation", "Counts", "Turn", "candidates"]

SET_ASIDE = "set-aside"
"""The kind of a result that a line stands for."""

type Parse = Callable[[bytes], Message]
type Earlier = Callable[[], Sequence[bytes]]


class Counts(NamedTuple):
    """How many tool results there are: all; failed ones; readings of a file that was read before; recalls."""

    results: int = 0
    errors: int = 0
    rereads: int = 0
    recalled: int = 0


NO_RESULTS = Counts()


@dataclass(frozen=True, slots=True)
class Turn:
    """What became of one message: a new JSON value for some of its slots (see `_slots`), by their number.

    `counts` are those of all messages up to this one.
    """

    tokens: dict[int, bytes] = field(default_factory=dict)
    changes: tuple[ResultChange, ...] = ()
    says_something: bool = False  # whether later messages may depend on it
    splices: tuple[Splice, ...] = ()  # as `tokens`, for the bytes of the message that was fed
    counts: Counts = NO_RESULTS

    def splices_in(self, raw: bytes, parse: Parse) -> tuple[Splice, ...]:
        """As `splices`, for another spelling of the same message."""
        if not self.tokens:
            return ()
        slots = _slots(parse(raw))
        return tuple(Splice(*slots[at], token) for at, token in sorted(self.tokens.items()) if at < len(slots))


class _Result(NamedTuple):
    """A tool result with its call, where it stands, and its texts; None for one that is no text that can be read."""

    result: ToolResult
    call: ToolCall
    place: Place
    texts: list[str | None]

    @property
    def whole(self) -> str:
        """All that it says."""
        return _joined(self.texts)

    @property
    def sources(self) -> Iterator[tuple[int, str, Source]]:
        """The texts with their numbers and sources."""
        for number, text in enumerate(self.texts):
            if text is not None:
                label = f"{self.call.label} ({number + 1})" if number else self.call.label
                yield number, text, Source(self.result.tool_use_id, label, self.result.is_error)


class _Written(NamedTuple):
    """What the texts of a result become. `recalled`: they are the answer that the client could not give."""

    texts: dict[int, str]
    changes: list[ResultChange]
    recalled: bool = False


class _Recalled(NamedTuple):
    """A text that was set aside, or lines of it, and the key that brings back all of it."""

    key: str
    text: str


class Conversation:
    """The state after the messages that were fed so far."""

    def __init__(self, policy: Policy | None = None, *, may_refer: bool = True) -> None:
        self._policy = policy or Policy()
        self.turns: list[Turn] = []
        self.digests: list[bytes] = []  # for each turn the chained hash of the messages up to it
        self.problems: set[str] = set()  # exceptions that kept a result from being rewritten, by name
        self.may_refer = may_refer
        self._aside = frozenset(self._policy.aside)
        self._rules = fold_of(self.policy.rules)
        self._calls: dict[str, ToolCall] = {}
        self._shown = Shown()
        self._readings: dict[FileRange, Place] = {}  # where each part of a file was read last
        self._read: set[str] = set()  # the files that were read
        self._changed: dict[str, int] = {}  # by which message the assistant last changed a file
        self._tokens_size = 0
        self._worked = 0  # characters

    @property
    def policy(self) -> Policy:
        """How messages are written. Another may come that says the same of those that were fed."""
        return self._policy

    @policy.setter
    def policy(self, policy: Policy) -> None:
        if policy is not self._policy:
            self._policy = policy
            self._aside = frozenset(policy.aside)

    def is_written_as(self, policy: Policy, count: int, *, may_refer: bool) -> bool:
        """Whether the first `count` messages were written as `policy` says."""
        if self.may_refer != may_refer:
            return False
        return self._policy == policy or self._policy.up_to(count) == policy.up_to(count)

    @property
    def changes(self) -> Iterator[ResultChange]:
        """What was done to results, in order."""
        return (change for turn in self.turns for change in turn.changes)

    @property
    def size(self) -> int:
        """About how many bytes of memory this takes."""
        return self._shown.size + self._tokens_size + 400 * len(self.turns)

    def rewrite(self, raw: bytes, parse: Parse, digest: bytes, earlier: Earlier = tuple) -> Turn:
        """Feed the next message, as the client sent it; `digest` stands for the messages up to it.

        `earlier` gives the messages of the body, those before this one at least: what is recalled is taken from there.
        """
        turn = self._feed(raw, parse, lambda result: self._write(result, _Originals(earlier, parse, len(self.turns))))
        self.digests.append(digest)
        return turn

    def restore(self, raw: bytes, parse: Parse) -> Turn:
        """Feed the next message of a body that has been rewritten; the turn undoes that."""
        return self._feed(raw, parse, self._read_back)

    def can_forget_after(self, count: int) -> bool:
        """Whether nothing was learned from the messages behind the first `count`."""
        return not any(turn.says_something for turn in self.turns[count:])

    def forget_after(self, count: int) -> None:
        """Go back to the state after `count` messages."""
        del self.turns[count:], self.digests[count:]

    def _feed(self, raw: bytes, parse: Parse, treat: Callable[[_Result], _Written]) -> Turn:
        try:
            message = parse(raw)
        except NotUnderstood:
            message = Message()
        for call in message.calls:
            self._learn(call)
        slots = _slots(message)
        new: dict[int, bytes] = {}
        changes = []
        results, errors, rereads, recalls = self.turns[-1].counts if self.turns else NO_RESULTS
        slot = 0
        for number, result in enumerate(message.results):
            call = self._calls.get(result.tool_use_id) or ToolCall(result.tool_use_id, "")
            texts = _decoded(raw, result)
            written = treat(_Result(result, call, Place(len(self.turns), number), texts))
            changes += [change.by(call.tool) for change in written.changes]
            results += 1
            errors += result.is_error and not written.recalled
            rereads += self._is_reread(call) and not written.recalled
            recalls += written.recalled
            for at, text in written.texts.items():
                if text != texts[at]:
                    new[slot + at] = encode_string(text, like=raw[result.texts[at].start : result.texts[at].end])
            slot += len(texts)
            if result.error_flag is not None:
                if written.recalled and result.is_error:
                    new[slot] = b"false"
                slot += 1
        splices = tuple(sorted(Splice(*slots[at], token) for at, token in new.items()))
        self._tokens_size += sum(2 * len(token) for token in new.values())
        counts = Counts(results, errors, rereads, recalls)
        turn = Turn(new, tuple(changes), bool(message.calls or message.results), splices, counts)
        self.turns.append(turn)
        return turn

    def _is_reread(self, call: ToolCall) -> bool:
        """Whether the call reads a file that was read before; it has been read from now on."""
        if call.reads is None:
            return False
        again = call.reads.path in self._read
        self._read.add(call.reads.path)
        return again

    def _learn(self, call: ToolCall) -> None:
        self._calls[call.tool_use_id] = call._replace(written=None, edits=())
        if call.reads is None and call.command is None:
            self._changed[call.label] = len(self.turns)
        if call.written is not None:
            self._shown.add(Sheet(call.label, numbered=True), split_positions(call.written, 1))
        for edit in call.edits:
            self._shown.add(edit_of(call.label), split_positions(edit, 1))

    def _write(self, of: _Result, originals: _Originals) -> _Written:
        """What a result becomes on its way to the service."""
        written = self._written(of, originals)
        self._note_reading(of)
        return written

    def _written(self, of: _Result, originals: _Originals) -> _Written:
        if self.policy.is_raw(of.place.message):
            return self._as_it_is(of)
        recalled = self._recalled(of, originals)
        if of.place in self._aside:
            return self._set_aside(of, recalled)
        if of.result.was_sent:
            return self._as_it_is(of)
        if recalled is not None:
            return self._answered(of, recalled)
        texts = {}
        changes = []
        for at, text, source in of.sources:
            if not self._has_work_for(text):
                continue
            folded = None if recall.is_about_aside(of.call) else self._fold(text, source)
            if folded is None:
                self._show(text, source, of.call)
            else:
                folded.unfolded.show(self._shown)
                texts[at] = folded.text
                changes.append(folded.change)
        return _Written(texts, changes)

    def _has_work_for(self, text: str) -> bool:
        """Whether `text` may still be worked on. Nothing behind one that may not will refer to what it shows."""
        self._worked += len(text)
        return self._worked <= self.policy.work

    def _fold(self, text: str, source: Source) -> Folded | None:
        try:
            return self._rules(text, source, self._shown, may_refer=self.may_refer)
        except Exception as error:  # noqa: BLE001 - a mistake in one content module costs one result its rewrite
            self.problems.add(type(error).__name__)
            return None

    def _set_aside(self, of: _Result, recalled: _Recalled | None) -> _Written:
        """A line in place of each text that is long enough; what recalled it before is named again."""
        key = recalled.key if recalled else set_aside.key_of(of.result.tool_use_id, of.whole)
        texts = {}
        changes = []
        for at, text, source in of.sources:
            said = recalled.text if recalled else text
            stub = set_aside.write(said, of.call, key)
            texts[at] = reminders.replaced(text, stub or said) if recalled or stub else text
            if stub is None:
                self._show(texts[at], source, of.call)
            else:
                changes.append(ResultChange(SET_ASIDE, said, stub))
        return _Written(texts, changes, recalled is not None)

    def _answered(self, of: _Result, recalled: _Recalled) -> _Written:
        """What was asked for in place of the client's answer, which is a single text."""
        texts = {at: reminders.replaced(text, recalled.text) for at, text, _ in of.sources}
        for at, _, source in of.sources:
            self._show(texts[at], source, of.call)
        return _Written(texts, [], recalled=True)

    def _as_it_is(self, of: _Result) -> _Written:
        for _, text, source in of.sources:
            if self._has_work_for(text):
                self._show(text, source, of.call)
        return _Written({}, [])

    def _read_back(self, of: _Result) -> _Written:
        """What a result that arrived was before it was rewritten."""
        return _Written({at: self._show(text, source, of.call) for at, text, source in of.sources}, [])

    def _show(self, text: str, source: Source, call: ToolCall) -> str:
        """Record what `text`, as it arrives, shows to its reader; it is returned as it was before it was rewritten."""
        if recall.is_about_aside(call) or statements.is_aside(text, statements.code_for(source.tool_use_id)):
            return text
        unfolded = unfold(text, source, self._shown)
        unfolded.show(self._shown)
        return unfolded.text

    def _note_reading(self, of: _Result) -> None:
        part = recall.range_of(of.call)
        if part is not None and not of.result.is_error and not recall.says_unchanged(of.whole):
            self._readings[part] = of.place

    def _recalled(self, of: _Result, originals: _Originals) -> _Recalled | None:
        """What this result asks back, if it does and if it is there."""
        asked = recall.asked(of.call, of.whole, is_error=of.result.is_error, marks_errors=of.result.marks_errors)
        if asked is not None:
            original = originals.behind(asked.key)
            return None if original is None else _Recalled(asked.key, asked.of(original))
        if of.call.reads is None or of.result.is_error or not recall.says_unchanged(of.whole):
            return None
        part = recall.range_of(of.call)
        place = self._readings.get(part) if part is not None else None
        if place is None or place not in self._aside or self._changed.get(of.call.label, -1) > place.message:
            return None
        return originals.at(place)


class _Originals:
    """The results of the messages before one, as the client sent them."""

    def __init__(self, earlier: Earlier, parse: Parse, end: int) -> None:
        self._earlier = earlier
        self._parse = parse
        self._end = end

    def behind(self, key: str) -> str | None:
        """The whole text of the result that `key` stands for."""
        for raw in self._earlier()[: self._end]:
            for result in _originals_in(raw, self._parse):
                if set_aside.key_of(result.tool_use_id, result.text) == key:
                    return result.text
        return None

    def at(self, place: Place) -> _Recalled:
        """The whole text of the result at `place`, with its key."""
        result = _originals_in(self._earlier()[place.message], self._parse)[place.result]
        return _Recalled(set_aside.key_of(result.tool_use_id, result.text), result.text)


class _Original(NamedTuple):
    """A result as the client sent it."""

    tool_use_id: str
    is_error: bool
    marks_errors: bool
    text: str


def _originals_in(raw: bytes, parse: Parse) -> list[_Original]:
    """The tool results of a message."""
    try:
        return _originals_of(raw, parse(raw))
    except NotUnderstood:
        return []


def _originals_of(raw: bytes, message: Message) -> list[_Original]:
    return [
        _Original(one.tool_use_id, one.is_error, one.marks_errors, _joined(_decoded(raw, one)))
        for one in message.results
    ]


def candidates(messages: Sequence[bytes], parse: Parse, end: int) -> list[Candidate]:
    """All tool results, as they may be set aside: not what failed, nor in messages from `end` on."""
    calls: dict[str, ToolCall] = {}
    known: dict[str, str] = {}
    found = []
    changed = 0
    for number, raw in enumerate(messages):
        try:
            message = parse(raw)
        except NotUnderstood:
            continue
        calls |= {call.tool_use_id: call for call in message.calls}
        changed += any(call.edits or call.written is not None for call in message.calls)
        for result_number, result in enumerate(_originals_of(raw, message)):
            call = calls.get(result.tool_use_id) or ToolCall(result.tool_use_id, "")
            asked = recall.asked(call, result.text, is_error=result.is_error, marks_errors=result.marks_errors)
            original = known.get(asked.key) if asked else None
            if asked is None:
                known[set_aside.key_of(result.tool_use_id, result.text)] = result.text
            whole = result.text if asked is None or original is None else asked.of(original)
            may_go = number < end and (original is not None or not result.is_error) and not statements.stand_in(whole)
            found.append(Candidate(Place(number, result_number), len(whole), may_go, changed))
    return found


def _joined(texts: Iterable[str | None]) -> str:
    """The whole text of a result."""
    return "\n".join(text for text in texts if text is not None)


def _decoded(raw: bytes, result: ToolResult) -> list[str | None]:
    texts: list[str | None] = []
    for span in result.texts:
        try:
            texts.append(decode_string(raw[span.start : span.end]))
        except NotUnderstood:
            texts.append(None)
    return texts


def _slots(message: Message) -> list[Span]:
    """The values of a message that can be replaced: of each result its texts, then its `is_error` if it has one."""
    slots: list[Span] = []
    for result in message.results:
        slots += result.texts
        if result.error_flag is not None:
            slots.append(result.error_flag)
    return slots

"""One conversation as the engine has seen it so far: what became of every message, and what they have shown.

Messages are fed in order, and what becomes of one depends on it and on those before it alone. So the rewritten messages
of one request are a prefix of those of the next, and the provider's prompt cache is met.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from compression_engine.body import NotUnderstood, Span, Splice, decode_string, encode_string
from compression_engine.content.lines import split_positions
from compression_engine.formats.message import Message, ToolResult
from compression_engine.history import Place, Shown, edit_of
from compression_engine.results import ResultChange, Source, fold, unfold

__all__ = ["Conversation", "Turn"]

type Parse = Callable[[bytes], Message]


@dataclass(frozen=True, slots=True)
class Turn:
    """What became of one message: a new JSON string for some of its texts, known by their order in the message."""

    tokens: dict[int, bytes] = field(default_factory=dict)
    changes: tuple[ResultChange, ...] = ()
    says_something: bool = False  # whether later messages may depend on it
    splices: tuple[Splice, ...] = ()  # as `tokens`, for the bytes of the message that was fed

    def splices_in(self, raw: bytes, parse: Parse) -> tuple[Splice, ...]:
        """As `splices`, for another spelling of the same message."""
        if not self.tokens:
            return ()
        spans = _texts(parse(raw))
        return tuple(Splice(*spans[at], token) for at, token in self.tokens.items() if at < len(spans))


class Conversation:
    """The state after the messages that were fed so far."""

    def __init__(self, *, may_refer: bool = True) -> None:
        self.turns: list[Turn] = []
        self.digests: list[bytes] = []  # for each turn the chained hash of the messages up to it
        self.problems: set[str] = set()  # exceptions that kept a result from being rewritten, by name
        self._may_refer = may_refer
        self._labels: dict[str, str] = {}
        self._shown = Shown()
        self._tokens_size = 0

    @property
    def size(self) -> int:
        """About how many bytes of memory this takes."""
        return self._shown.size + self._tokens_size + 400 * len(self.turns)

    def rewrite(self, raw: bytes, parse: Parse, digest: bytes) -> Turn:
        """Feed the next message, as the client sent it; `digest` stands for the messages up to it."""
        turn = self._feed(raw, parse, self._fold)
        self.digests.append(digest)
        return turn

    def restore(self, raw: bytes, parse: Parse) -> Turn:
        """Feed the next message of a body that has been rewritten; the turn undoes that."""
        return self._feed(raw, parse, self._unfold)

    def can_forget_after(self, count: int) -> bool:
        """Whether nothing was learned from the messages behind the first `count`."""
        return not any(turn.says_something for turn in self.turns[count:])

    def forget_after(self, count: int) -> None:
        """Go back to the state after `count` messages."""
        del self.turns[count:], self.digests[count:]

    def _feed(self, raw: bytes, parse: Parse, treat: Callable[[str, Source], tuple[str, ResultChange | None]]) -> Turn:
        try:
            message = parse(raw)
        except NotUnderstood:
            message = Message()
        for call in message.calls:
            self._labels[call.tool_use_id] = call.label
            if call.written is not None:
                self._shown.add(Place(call.label, numbered=True), split_positions(call.written, 1))
            for edit in call.edits:
                self._shown.add(edit_of(call.label), split_positions(edit, 1))
        tokens = {}
        splices = []
        changes = []
        ordinal = 0
        for result in message.results:
            for count, span in enumerate(result.texts, 1):
                token = raw[span.start : span.end]
                try:
                    text = decode_string(token)
                except NotUnderstood:
                    ordinal += 1
                    continue
                new, change = treat(text, self._source(result, count))
                if new != text:
                    tokens[ordinal] = encode_string(new, like=token)
                    splices.append(Splice(span.start, span.end, tokens[ordinal]))
                    self._tokens_size += 2 * len(tokens[ordinal])
                if change is not None:
                    changes.append(change)
                ordinal += 1
        turn = Turn(tokens, tuple(changes), bool(message.calls or message.results), tuple(splices))
        self.turns.append(turn)
        return turn

    def _source(self, result: ToolResult, count: int) -> Source:
        label = self._labels.get(result.tool_use_id, "")
        return Source(result.tool_use_id, label if count == 1 else f"{label} ({count})", result.is_error)

    def _fold(self, text: str, source: Source) -> tuple[str, ResultChange | None]:
        folded = None
        try:
            folded = fold(text, source, self._shown, may_refer=self._may_refer)
        except Exception as error:  # noqa: BLE001 - a mistake in one content module costs one result its rewrite
            self.problems.add(type(error).__name__)
        if folded is None:
            unfold(text, source, self._shown).show(self._shown)
            return text, None
        folded.unfolded.show(self._shown)
        return folded.text, folded.change

    def _unfold(self, text: str, source: Source) -> tuple[str, None]:
        unfolded = unfold(text, source, self._shown)
        unfolded.show(self._shown)
        return unfolded.text, None


def _texts(message: Message) -> list[Span]:
    return [span for result in message.results for span in result.texts]

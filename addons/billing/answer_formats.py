"""Where `usage` stands in what each endpoint answers, streamed or not.

Sources: the API references of Anthropic (Messages) and OpenAI (Chat Completions, Responses). `cache_write_tokens` is
what OpenAI's models since GPT-5.6 answer (seen on the wire in github.com/coder/mux/issues/3705).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from billing.usage import Usage

__all__ = ["ANSWERS", "DONE", "Answer", "Seen", "Told", "told"]

DONE = b"[DONE]"
"""What OpenAI ends a stream of Chat Completions with, in the place of an event's JSON."""

_MOST_TOKENS = 10**9  # more than any model takes: such a figure is none
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Seen:
    """What an answer has told so far. `usage` is None until it tells of any; `is_complete`: it came to its own end."""

    usage: Usage | None = None
    model: str = ""
    is_complete: bool = False


class Told(msgspec.Struct):
    """What is read of a JSON object: these fields, of whatever type they are. All others are passed over unread."""

    type: Any = None
    model: Any = None
    usage: Any = None
    choices: Any = None
    message: msgspec.Raw = msgspec.Raw()
    response: msgspec.Raw = msgspec.Raw()


_MOST_MENDED = 1024 * 1024  # bytes: more would take too long
_READER = msgspec.json.Decoder(Told)
_NO_NUMBER = re.compile(rb"-?\b(?:NaN|Infinity|\d{20,}|\d+(?:\.\d+)?[eE]\+?\d{3,})\b")


def told(text: bytes | msgspec.Raw) -> Told | None:
    """What the JSON object `text` says; None if it is none."""
    try:
        return _READER.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if len(bytes(text)) > _MOST_MENDED:
            return None
    # What programs write for odd numbers, though it is no JSON, and numbers that are too large to read. That the like
    # may stand in strings does not matter: no text is read here.
    mended = _NO_NUMBER.sub(b"null", bytes(text).removeprefix(b"\xef\xbb\xbf"))
    try:
        return _READER.decode(mended)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


@dataclass(frozen=True, slots=True)
class Answer:
    """How one endpoint answers.

    `marks` are bytes of which one stands in every event that matters, `event` takes one event of a stream and
    `document` a whole answer that is not streamed.
    """

    marks: tuple[bytes, ...]
    event: Callable[[Seen, Told], Seen]
    document: Callable[[Seen, Told], Seen]


def _messages_event(seen: Seen, event: Told) -> Seen:
    match event.type:
        case "message_start":
            return replace(_messages_document(seen, told(event.message)), is_complete=False)
        case "message_delta":
            return replace(seen, usage=_messages_usage(seen.usage, event.usage))
        case "message_stop":
            return replace(seen, is_complete=True)
        case _:
            return seen


def _messages_document(seen: Seen, message: Told | None) -> Seen:
    if message is None:
        return seen
    return Seen(_messages_usage(seen.usage, message.usage), _name(message.model) or seen.model, is_complete=True)


def _messages_usage(before: Usage | None, given: object) -> Usage | None:
    """What a stream says of its usage grows: later figures take the place of earlier ones.

    Those that are missing stay, and a later 0 input tokens is none: Claude Code reads it so as well.
    """
    usage = _object(given)
    total = _tokens(usage.get("cache_creation_input_tokens"))
    kinds = _object(usage.get("cache_creation"))
    hour, minutes = _tokens(kinds.get("ephemeral_1h_input_tokens")), _tokens(kinds.get("ephemeral_5m_input_tokens"))
    uncached, cache_read = _tokens(usage.get("input_tokens")), _tokens(usage.get("cache_read_input_tokens"))
    output = _tokens(usage.get("output_tokens"))
    if all(figure is None for figure in (total, hour, minutes, uncached, cache_read, output)):
        return before
    known = before or Usage()
    minutes, hour = _writes(known, total or 0, minutes or 0, hour or 0)
    return Usage(
        uncached=uncached or known.uncached,
        cache_read=cache_read or known.cache_read,
        cache_write_5m=minutes,
        cache_write_1h=hour,
        output=known.output if output is None else output,
    )


def _writes(known: Usage, total: int, minutes: int, hour: int) -> tuple[int, int]:
    """What was written for five minutes and for an hour; 0 stands for what was not said.

    The end of a stream repeats the total, and need not say again for how long it was written.
    """
    if not total:
        return minutes or known.cache_write_5m, hour or known.cache_write_1h
    if not (minutes or hour):
        minutes, hour = known.cache_write_5m, known.cache_write_1h
        if hour and not minutes:
            return 0, total
    elif minutes and not hour:
        hour = max(0, total - minutes)
    hour = min(hour, total)
    return total - hour, hour


def _completions_event(seen: Seen, event: Told) -> Seen:
    """The usage comes in the last event, and only where the client asked for it."""
    ended = any(_object(choice).get("finish_reason") for choice in _list(event.choices))
    usage = _openai_usage(event.usage, "prompt", "completion")
    return Seen(usage or seen.usage, _name(event.model) or seen.model, seen.is_complete or ended)


def _completions_document(seen: Seen, document: Told) -> Seen:
    return replace(_completions_event(seen, document), is_complete=True)


def _responses_event(seen: Seen, event: Told) -> Seen:
    if event.type not in _RESPONSE_ENDS and event.type != _RESPONSE_BEGINS:
        return seen
    response = told(event.response)
    is_complete = event.type in _RESPONSE_ENDS
    return replace(_responses_document(seen, response) if response else seen, is_complete=is_complete)


def _responses_document(seen: Seen, document: Told) -> Seen:
    usage = _openai_usage(document.usage, "input", "output")
    return Seen(usage or seen.usage, _name(document.model) or seen.model, is_complete=True)


def _openai_usage(given: object, input_name: str, output_name: str) -> Usage | None:
    """OpenAI counts what was read from the cache and what was written to it among the input tokens."""
    usage = _object(given)
    total, output = _tokens(usage.get(f"{input_name}_tokens")), _tokens(usage.get(f"{output_name}_tokens"))
    if total is None and output is None:
        return None
    total = total or 0
    details = _object(usage.get(f"{input_name}_tokens_details"))
    read = min(total, _tokens(details.get("cached_tokens")) or 0)
    written = min(total - read, _tokens(details.get("cache_write_tokens")) or 0)
    return Usage(uncached=total - read - written, cache_read=read, cache_write_5m=written, output=output or 0)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _tokens(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_TOKENS else None


def _name(value: object) -> str:
    if not isinstance(value, str):
        return ""
    return "".join(letter for letter in value[:_LONGEST_NAME] if letter.isprintable())


_RESPONSE_BEGINS = "response.created"
_RESPONSE_ENDS = ("response.completed", "response.incomplete", "response.failed")

_RESPONSES = Answer(
    tuple(kind.encode() for kind in (_RESPONSE_BEGINS, *_RESPONSE_ENDS)),
    _responses_event,
    _responses_document,
)

ANSWERS: dict[str, Answer] = {
    "messages": Answer(
        (b'"message_start"', b'"message_delta"', b'"message_stop"'),
        _messages_event,
        _messages_document,
    ),
    "chat_completions": Answer(
        (b'"usage"', b'"finish_reason"', DONE),
        _completions_event,
        _completions_document,
    ),
    "responses": _RESPONSES,
    "compact": _RESPONSES,
}
"""By the value of `host_rules.Endpoint`."""

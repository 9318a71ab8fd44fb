"""Where `usage` stands in what each endpoint answers, streamed or not.

Sources: the API references of Anthropic (Messages) and OpenAI (Chat Completions, Responses).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from billing.usage import Usage

__all__ = ["ANSWERS", "Answer", "Seen"]

_MOST_TOKENS = 10**9  # more than any model takes: such a figure is none
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Seen:
    """What an answer has told so far. `usage` is None until it tells of any; `is_complete`: it came to its own end."""

    usage: Usage | None = None
    model: str = ""
    is_complete: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """How one endpoint answers.

    `marks` are bytes of which one stands in every event that matters, `event` takes one event of a stream and
    `document` a whole answer that is not streamed.
    """

    marks: tuple[bytes, ...]
    event: Callable[[Seen, Mapping[str, Any]], Seen]
    document: Callable[[Seen, Mapping[str, Any]], Seen]


def _messages_event(seen: Seen, event: Mapping[str, Any]) -> Seen:
    match event.get("type"):
        case "message_start":
            return _messages_document(seen, _object(event.get("message")), is_complete=False)
        case "message_delta":
            return replace(seen, usage=_messages_usage(seen.usage, event.get("usage")))
        case "message_stop":
            return replace(seen, is_complete=True)
        case _:
            return seen


def _messages_document(seen: Seen, message: Mapping[str, Any], *, is_complete: bool = True) -> Seen:
    usage = _messages_usage(seen.usage, message.get("usage"))
    return Seen(usage, _name(message.get("model")) or seen.model, is_complete)


def _messages_usage(before: Usage | None, given: object) -> Usage | None:
    """Later figures take the place of earlier ones; those that are missing stay."""
    usage = _object(given)
    if not usage:
        return before
    known = before or Usage()
    writes = _tokens(usage.get("cache_creation_input_tokens"))
    kinds = _object(usage.get("cache_creation"))
    hour = _tokens(kinds.get("ephemeral_1h_input_tokens"))
    minutes = _tokens(kinds.get("ephemeral_5m_input_tokens"))
    if minutes is None and writes is not None:
        minutes = max(0, writes - (hour or 0))
    return Usage(
        uncached=_first(_tokens(usage.get("input_tokens")), known.uncached),
        cache_read=_first(_tokens(usage.get("cache_read_input_tokens")), known.cache_read),
        cache_write_5m=_first(minutes, known.cache_write_5m),
        cache_write_1h=_first(hour, known.cache_write_1h),
        output=_first(_tokens(usage.get("output_tokens")), known.output),
    )


def _completions_event(seen: Seen, event: Mapping[str, Any]) -> Seen:
    """The usage comes in the last event, and only where the client asked for it."""
    ended = any(_object(choice).get("finish_reason") for choice in _list(event.get("choices")))
    usage = _openai_usage(event.get("usage"), "prompt", "completion")
    return Seen(usage or seen.usage, _name(event.get("model")) or seen.model, seen.is_complete or ended)


def _completions_document(seen: Seen, document: Mapping[str, Any]) -> Seen:
    return replace(_completions_event(seen, document), is_complete=True)


def _responses_event(seen: Seen, event: Mapping[str, Any]) -> Seen:
    if event.get("type") in ("response.completed", "response.incomplete", "response.failed"):
        return _responses_document(seen, _object(event.get("response")))
    return seen


def _responses_document(seen: Seen, document: Mapping[str, Any]) -> Seen:
    usage = _openai_usage(document.get("usage"), "input", "output")
    return Seen(usage or seen.usage, _name(document.get("model")) or seen.model, is_complete=True)


def _openai_usage(given: object, input_name: str, output_name: str) -> Usage | None:
    """OpenAI counts what was read from the cache among the input tokens."""
    usage = _object(given)
    if not usage:
        return None
    total = _tokens(usage.get(f"{input_name}_tokens")) or 0
    details = _object(usage.get(f"{input_name}_tokens_details"))
    cached = min(total, _tokens(details.get("cached_tokens")) or 0)
    output = _tokens(usage.get(f"{output_name}_tokens")) or 0
    return Usage(uncached=total - cached, cache_read=cached, output=output)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _tokens(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_TOKENS else None


def _first(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value


def _name(value: object) -> str:
    if not isinstance(value, str):
        return ""
    return "".join(letter for letter in value[:_LONGEST_NAME] if letter.isprintable())


_MESSAGES = Answer((b'"message_start"', b'"message_delta"', b'"message_stop"'), _messages_event, _messages_document)

ANSWERS: dict[str, Answer] = {
    "messages": _MESSAGES,
    "chat_completions": Answer(
        (b'"usage"', b'"finish_reason"'),
        _completions_event,
        _completions_document,
    ),
    "responses": Answer(
        (b"response.completed", b"response.incomplete", b"response.failed"), _responses_event, _responses_document
    ),
}
"""By the value of `host_rules.Endpoint`."""

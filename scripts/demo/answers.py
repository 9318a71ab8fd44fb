"""What the stand-in answers, and how that stands on the wire of the Messages API: a stream or one object."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from demo.prompt_cache import BYTES_PER_TOKEN

__all__ = [
    "Answer",
    "Refusal",
    "ToolUse",
    "bad_request",
    "events",
    "message",
    "not_found",
    "overloaded",
    "rate_limited",
    "unauthorized",
]

_DELTA_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A call of one of the client's tools."""

    name: str
    input: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """An assistant message: texts and tool calls in order; `pause` seconds before each event of a stream."""

    blocks: tuple[str | ToolUse, ...]
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer with an error status."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


def bad_request(text: str) -> Refusal:
    """400 as the Messages API words it."""
    return Refusal(400, _error("invalid_request_error", text))


def unauthorized() -> Refusal:
    """401 as Azure's gateway words it, which stands in front of the Messages API."""
    text = (
        "Access denied due to invalid subscription key or wrong API endpoint. "
        "Make sure to provide a valid key for an active subscription "
        "and use a correct regional API endpoint for your resource."
    )
    return Refusal(401, _json({"error": {"code": "401", "message": text}}))


def not_found() -> Refusal:
    """404 as Azure's gateway words it."""
    return Refusal(404, _json({"error": {"code": "404", "message": "Resource not found"}}))


def rate_limited(retry_after: int = 1) -> Refusal:
    """429; `retry_after` in seconds."""
    body = _error("rate_limit_error", "Number of request tokens has exceeded the limit of this deployment.")
    return Refusal(429, body, (("retry-after", str(retry_after)),))


def overloaded() -> Refusal:
    """529."""
    return Refusal(529, _error("overloaded_error", "Overloaded"))


def message(answer: Answer, request: bytes, usage: Mapping[str, Any]) -> dict[str, Any]:
    """Make the whole message of `answer` to the body `request`: what a client gets that asked for no stream.

    `usage` is the input side of what is billed. Ids come from the request's bytes, so a repeated request gets the same
    answer.
    """
    content = [_block(block, request, position) for position, block in enumerate(answer.blocks)]
    calls = any(isinstance(block, ToolUse) for block in answer.blocks)
    return {
        "id": f"msg_{_digest(request)}",
        "type": "message",
        "role": "assistant",
        "model": json.loads(request).get("model", ""),
        "content": content,
        "stop_reason": "tool_use" if calls else "end_turn",
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": max(1, len(_json(content)) // BYTES_PER_TOKEN)},
    }


def events(whole: dict[str, Any]) -> Iterator[bytes]:
    """Yield a message as a stream, one server-sent event at a time."""
    start = whole | {"content": [], "stop_reason": None, "usage": whole["usage"] | {"output_tokens": 1}}
    yield _event({"type": "message_start", "message": start})
    for index, block in enumerate(whole["content"]):
        if block["type"] == "text":
            opening, pieces, kind, key = block | {"text": ""}, _pieces(block["text"]), "text_delta", "text"
        else:
            opening, text = block | {"input": {}}, json.dumps(block["input"], ensure_ascii=False)
            pieces, kind, key = _pieces(text), "input_json_delta", "partial_json"
        yield _event({"type": "content_block_start", "index": index, "content_block": opening})
        for piece in pieces:
            yield _event({"type": "content_block_delta", "index": index, "delta": {"type": kind, key: piece}})
        yield _event({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    usage = {"output_tokens": whole["usage"]["output_tokens"]}
    yield _event({"type": "message_delta", "delta": delta, "usage": usage})
    yield _event({"type": "message_stop"})


def _block(block: str | ToolUse, request: bytes, position: int) -> dict[str, Any]:
    if isinstance(block, str):
        return {"type": "text", "text": block}
    identifier = f"toolu_{_digest(request, position)}"
    return {"type": "tool_use", "id": identifier, "name": block.name, "input": block.input}


def _pieces(text: str) -> list[str]:
    return [text[start : start + _DELTA_CHARACTERS] for start in range(0, len(text), _DELTA_CHARACTERS)]


def _event(data: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (data["type"].encode(), _json(data))


def _error(kind: str, text: str) -> bytes:
    return _json({"type": "error", "error": {"type": kind, "message": text}})


def _digest(request: bytes, position: int = 0) -> str:
    return hashlib.sha256(b"%d:%s" % (position, request)).hexdigest()[:24]


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

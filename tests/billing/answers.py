"""Answers of Foundry's endpoints as they stand on the wire, for tests."""

from __future__ import annotations

import base64
import gzip
import json
import struct
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import brotli  # type: ignore[import-untyped]
import zstandard

from billing.usage import Usage

__all__ = ["ANSWERS", "ENCODERS", "MESSAGES", "Wire", "aws", "aws_frame", "sse"]

type Json = dict[str, Any]


class Wire(NamedTuple):
    """An answer, and what it tells."""

    endpoint: str
    content_type: str
    body: bytes
    usage: Usage


def sse(*events: Json, end: str = "\n", done: bool = False) -> bytes:
    """The events as a stream; Anthropic and the Responses name them, Chat Completions do not."""
    lines = [f"event: {one['type']}{end}data: {json.dumps(one)}{end}{end}" for one in events if "type" in one]
    lines += [f"data: {json.dumps(one)}{end}{end}" for one in events if "type" not in one]
    return "".join([*lines, f"data: [DONE]{end}{end}" if done else ""]).encode()


def aws(*events: Json) -> bytes:
    """The events as Bedrock streams them: each in base64, within JSON, within a frame."""
    return b"".join(
        aws_frame(json.dumps({"bytes": base64.b64encode(json.dumps(one).encode()).decode(), "p": "abcd"}).encode())
        for one in events
    )


def aws_frame(payload: bytes, kind: str = "event", name: str = "chunk") -> bytes:
    """A message of AWS's event stream encoding, with headers as Bedrock has them."""
    fields = {":event-type": name, ":content-type": "application/json", ":message-type": kind}
    headers = b"".join(
        struct.pack(">B", len(key)) + key.encode() + struct.pack(">BH", 7, len(value)) + value.encode()
        for key, value in fields.items()
    )
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


_INPUT = {
    "input_tokens": 3,
    "cache_read_input_tokens": 70,
    "cache_creation_input_tokens": 21,
    "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 1},
}
_MESSAGE: Json = {"type": "message", "model": "model-1", "content": [{"type": "text", "text": 'It says "usage".'}]}
_WORDS = [
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": f'{{"usage": {n}}} äé\n\n'}}
    for n in range(9)
]
MESSAGES: tuple[Json, ...] = (
    {"type": "message_start", "message": _MESSAGE | {"usage": _INPUT | {"output_tokens": 1}}},
    {"type": "ping"},
    *_WORDS,
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
    {"type": "message_stop"},
)
_COUNTED = {"prompt_tokens": 93, "prompt_tokens_details": {"cached_tokens": 70}, "completion_tokens": 9}
_CHUNKS: tuple[Json, ...] = (
    *({"model": "model-1", "choices": [{"delta": {"content": "a"}, "finish_reason": None}]} for _ in range(9)),
    {"model": "model-1", "choices": [{"delta": {}, "finish_reason": "stop"}]},
    {"model": "model-1", "choices": [], "usage": _COUNTED},
)
_RESPONSE: Json = {
    "object": "response",
    "model": "model-1",
    "usage": {"input_tokens": 93, "input_tokens_details": {"cached_tokens": 70}, "output_tokens": 9},
}
_CLAUDE = Usage(uncached=3, cache_read=70, cache_write_5m=20, cache_write_1h=1, output=9)
_OPENAI = Usage(uncached=23, cache_read=70, output=9)
_STREAM, _JSON = "text/event-stream; charset=utf-8", "application/json"

ANSWERS: dict[str, Wire] = {
    "messages, streamed": Wire("messages", _STREAM, sse(*MESSAGES), _CLAUDE),
    "messages, streamed with CRLF": Wire("messages", _STREAM, sse(*MESSAGES, end="\r\n"), _CLAUDE),
    "messages, streamed with CR": Wire("messages", _STREAM, sse(*MESSAGES, end="\r"), _CLAUDE),
    "messages": Wire(
        "messages", _JSON, json.dumps(_MESSAGE | {"usage": _INPUT | {"output_tokens": 9}}).encode(), _CLAUDE
    ),
    "messages, streamed by Bedrock": Wire("messages", "application/vnd.amazon.eventstream", aws(*MESSAGES), _CLAUDE),
    "chat completions, streamed": Wire("chat_completions", _STREAM, sse(*_CHUNKS, done=True), _OPENAI),
    "chat completions": Wire(
        "chat_completions",
        _JSON,
        json.dumps({"model": "model-1", "choices": [{"finish_reason": "stop"}], "usage": _COUNTED}).encode(),
        _OPENAI,
    ),
    "responses, streamed": Wire(
        "responses",
        _STREAM,
        sse(
            {"type": "response.created", "response": {"model": "model-1", "usage": None}},
            *({"type": "response.output_text.delta", "delta": "response."} for _ in range(9)),
            {"type": "response.completed", "response": _RESPONSE},
        ),
        _OPENAI,
    ),
    "responses": Wire("responses", _JSON, json.dumps(_RESPONSE).encode(), _OPENAI),
    "compaction": Wire("compact", _JSON, json.dumps(_RESPONSE | {"object": "response.compaction"}).encode(), _OPENAI),
}


def _deflate_bare(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def _in_two(pack: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda data: pack(data[: len(data) // 2]) + pack(data[len(data) // 2 :])


ENCODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "none": ("", lambda data: data),
    "identity": ("identity", lambda data: data),
    "gzip": ("gzip", gzip.compress),
    "gzip in two members": ("GZIP", _in_two(gzip.compress)),
    "deflate": ("deflate", zlib.compress),
    "deflate without a frame": ("deflate", _deflate_bare),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstandard.compress),
    "zstd in two frames": ("zstd", _in_two(zstandard.compress)),
}
"""By a name: the Content-Encoding, and what encodes."""

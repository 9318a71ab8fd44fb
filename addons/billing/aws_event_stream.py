"""Reads what a model says out of the frames in which Amazon Bedrock streams it.

A message is its length and that of its headers, a checksum of these two, the headers, the payload, and a checksum of
all that; each number has four bytes. The payload is JSON, in which `bytes` is an event of the Messages API in base64.
Sources: "Amazon Event Stream Specification" on smithy.io, and InvokeModelWithResponseStream in Bedrock's API reference.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import msgspec

__all__ = ["CONTENT_TYPE", "take_messages"]

CONTENT_TYPE = "application/vnd.amazon.eventstream"
"""What an answer of this encoding has in its Content-Type."""

_PRELUDE = struct.Struct(">III")
_CHECKSUM_BYTES = 4
_LEAST = _PRELUDE.size + _CHECKSUM_BYTES


class _Chunk(msgspec.Struct, rename={"said": "bytes"}):
    said: bytes = b""


_READER = msgspec.json.Decoder(_Chunk)


def take_messages(rest: bytearray, largest: int) -> Iterator[bytes]:
    """Take the whole messages off the front of `rest`, and yield the JSON that each has in `bytes`.

    Of others, such as exceptions, nothing is yielded. The second checksum is not looked at.

    Raises:
        ValueError: this is another encoding.
        OverflowError: a message is said to have more than `largest` bytes.

    """
    start = 0
    while len(rest) - start >= _PRELUDE.size:
        length, headers, checksum = _PRELUDE.unpack_from(rest, start)
        if zlib.crc32(rest[start : start + 8]) != checksum or length < _LEAST + headers:
            raise ValueError
        if length > largest:
            raise OverflowError
        if len(rest) - start < length:
            break
        if text := _said(rest[start + _PRELUDE.size + headers : start + length - _CHECKSUM_BYTES]):
            yield text
        start += length
    del rest[:start]


def _said(payload: bytearray) -> bytes:
    try:
        return _READER.decode(payload).said
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return b""

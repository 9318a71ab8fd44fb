"""The content of a request, with its content encoding undone, and never more of it than can be handled.

mitmproxy undoes an encoding without a bound: a megabyte of gzip became 1 GB in memory, and held up all connections for
six seconds. It also knows Python's codecs by name, bz2 among them. So what a body unfolds to is counted first, in
steps, and only the encodings that HTTP has are undone.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import brotli  # type: ignore[import-untyped]
import zstandard
from mitmproxy.http import Request

__all__ = ["MOST_BYTES", "TooLargeError", "content_of"]

MOST_BYTES = 64 * 1024 * 1024
"""Larger contents are not looked at. Anthropic's API refuses requests above 32 MB, as its reference on errors says."""

_STEP = 1024 * 1024
_WINDOW = 8 * 1024 * 1024  # what RFC 9659 allows zstd in HTTP
_ZSTD_PIECE = 256  # input: a block takes at least four bytes, and holds at most 128 kB


class TooLargeError(Exception):
    """The content is larger than `MOST_BYTES`."""


def content_of(request: Request) -> bytes | None:
    """The content; None where it was sent on while it came in.

    Raises:
        TooLargeError: it is too large.
        ValueError: it is not in the encoding that the request names, or not in that alone, or that is not known.

    """
    raw = request.raw_content
    if raw is None:
        return None
    encoding = request.headers.get("content-encoding", "").lower()
    size = 0
    for piece in _pieces(raw, encoding):
        size += len(piece)
        if size > MOST_BYTES:
            raise TooLargeError
    return raw if encoding in _NONE else request.content


_NONE = ("", "identity")


def _pieces(raw: bytes, encoding: str) -> Iterator[bytes]:
    """What `raw` unfolds to. Raises ValueError."""
    if encoding in _NONE:
        yield raw
        return
    try:
        match encoding:
            case "gzip":
                yield from _inflated(raw, zlib.decompressobj(16 + zlib.MAX_WBITS))
            case "deflate":
                bare = raw[:1] and raw[0] & 0x0F != zlib.DEFLATED  # as many have it, against the standard
                yield from _inflated(raw, zlib.decompressobj(-zlib.MAX_WBITS if bare else zlib.MAX_WBITS))
            case "br":
                yield from _unbrotlied(raw)
            case "zstd":
                yield from _unzstandarded(raw)
            case _:
                raise ValueError(encoding)
    except (zlib.error, brotli.error, zstandard.ZstdError) as error:
        raise ValueError(encoding) from error


def _inflated(raw: bytes, decoder: Any) -> Iterator[bytes]:
    """The one stream that `raw` is. mitmproxy passes over what follows it, and a rewrite would leave that out."""
    while raw and not decoder.eof:
        yield decoder.decompress(raw, _STEP)
        raw = decoder.unconsumed_tail
    while not decoder.eof and (piece := decoder.decompress(b"", _STEP)):
        yield piece
    if not decoder.eof or decoder.unused_data:
        raise ValueError("not one whole stream")


def _unbrotlied(raw: bytes) -> Iterator[bytes]:
    decoder = brotli.Decompressor()
    while piece := decoder.process(raw, output_buffer_limit=_STEP):
        yield piece
        raw = b""
    if not decoder.is_finished():
        raise ValueError("not one whole stream")


def _unzstandarded(raw: bytes) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
    decoder = decompressor.decompressobj()
    at = 0
    while at < len(raw):
        if decoder.eof:
            raise ValueError("not one whole stream")
        piece = raw[at : at + _ZSTD_PIECE]
        yield decoder.decompress(piece)
        at += len(piece) - len(decoder.unused_data)
        if decoder.unused_data == piece:
            break
    if not decoder.eof or at < len(raw):
        raise ValueError("not one whole stream")

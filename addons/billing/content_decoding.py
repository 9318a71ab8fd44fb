"""Takes a content encoding off a body that comes in pieces, each piece in bounded steps."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import brotli  # type: ignore[import-untyped]
import zstandard

__all__ = ["STEP", "Decoder", "decoder_for"]

type Decoder = Callable[[bytes], Iterator[bytes]]
"""Yields what a piece of the body decodes to, in pieces of `STEP` bytes at most; zstd's may hold some megabytes.

Raises what the decoding library raises where the body is none of this encoding.
"""

STEP = 64 * 1024


def decoder_for(encoding: str) -> Decoder | None:
    """The decoder for a Content-Encoding header; None if there is none for it."""
    match encoding.strip().lower():
        case "" | "identity":
            return _as_it_is
        case "gzip" | "x-gzip":
            return _Zlib(16 + zlib.MAX_WBITS)
        case "deflate":
            return _Deflate()
        case "br":
            return _Brotli()
        case "zstd":
            return _Zstd()
        case _:
            return None


def _as_it_is(data: bytes) -> Iterator[bytes]:
    yield data


class _Zlib:
    """Gzip or zlib; gzip members that follow one another are one text, and whatever else follows is passed over."""

    def __init__(self, window_bits: int) -> None:
        self._window_bits = window_bits
        self._decoder = zlib.decompressobj(window_bits)
        self._is_over = False

    def __call__(self, data: bytes) -> Iterator[bytes]:
        is_full = False  # the decoder may hold back more than it gave
        while (data or is_full) and not self._is_over:
            if self._decoder.eof:
                self._is_over = self._window_bits <= zlib.MAX_WBITS or not data.startswith(_GZIP)
                if self._is_over:
                    return
                self._decoder = zlib.decompressobj(self._window_bits)
            piece = self._decoder.decompress(data, STEP)
            yield piece
            is_full = len(piece) == STEP
            data = self._decoder.unused_data if self._decoder.eof else self._decoder.unconsumed_tail


_GZIP = b"\x1f"  # what a member begins with; the rest of its mark may come with the next piece


class _Deflate:
    """What servers call deflate: zlib, as the standard says, or the bare stream, as many have it."""

    def __init__(self) -> None:
        self._decoder: _Zlib | None = None

    def __call__(self, data: bytes) -> Iterator[bytes]:
        if self._decoder is None and data:
            is_zlib = data[0] & 0x0F == zlib.DEFLATED
            self._decoder = _Zlib(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)
        return iter(()) if self._decoder is None else self._decoder(data)


class _Brotli:
    """What follows the end is passed over."""

    def __init__(self) -> None:
        self._decoder: Any = brotli.Decompressor()

    def __call__(self, data: bytes) -> Iterator[bytes]:
        if self._decoder.is_finished():
            return
        # It takes no more input before it has given all that it holds back, and holds back some after its last input.
        while piece := self._decoder.process(data, output_buffer_limit=STEP):
            yield piece
            data = b""


class _Zstd:
    """Frames that follow one another are one text."""

    def __init__(self) -> None:
        self._make = zstandard.ZstdDecompressor(max_window_size=8 * 1024 * 1024).decompressobj
        self._decoder = self._make()

    def __call__(self, data: bytes) -> Iterator[bytes]:
        # A piece of input becomes bounded output only if it is small: a block takes at least four bytes, and holds at
        # most 128 kB of text.
        while data:
            if self._decoder.eof:
                self._decoder = self._make()
            piece, data = data[:_ZSTD_PIECE], data[_ZSTD_PIECE:]
            yield self._decoder.decompress(piece)
            if self._decoder.eof:
                data = self._decoder.unused_data + data


_ZSTD_PIECE = 256

"""Takes a content encoding off a body that comes in pieces, each piece in bounded steps."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import brotli  # type: ignore[import-untyped]
import zstandard

__all__ = ["Decoder", "decoder_for"]

type Decoder = Callable[[bytes], Iterator[bytes]]
"""Yields what a piece of the body decodes to, in pieces of at most about `STEP` bytes."""

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
    """Gzip or zlib; members that follow one another are one text."""

    def __init__(self, window_bits: int) -> None:
        self._window_bits = window_bits
        self._decoder = zlib.decompressobj(window_bits)

    def __call__(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._decoder.eof:
                self._decoder = zlib.decompressobj(self._window_bits)
            yield self._decoder.decompress(data, STEP)
            data = self._decoder.unused_data if self._decoder.eof else self._decoder.unconsumed_tail


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
    def __init__(self) -> None:
        self._decoder: Any = brotli.Decompressor()

    def __call__(self, data: bytes) -> Iterator[bytes]:
        yield self._decoder.process(data, output_buffer_limit=STEP)
        while not self._decoder.can_accept_more_data():
            yield self._decoder.process(b"", output_buffer_limit=STEP)


class _Zstd:
    """Frames that follow one another are one text."""

    def __init__(self) -> None:
        self._make = zstandard.ZstdDecompressor(max_window_size=8 * 1024 * 1024).decompressobj
        self._decoder = self._make()

    def __call__(self, data: bytes) -> Iterator[bytes]:
        # A piece of input becomes bounded output only if it is small: a block holds at most 128 kB of text, and takes
        # at least four bytes.
        while data:
            if self._decoder.eof:
                self._decoder = self._make()
            piece, data = data[:_ZSTD_PIECE], data[_ZSTD_PIECE:]
            yield self._decoder.decompress(piece)
            if self._decoder.eof:
                data = self._decoder.unused_data + data


_ZSTD_PIECE = 256

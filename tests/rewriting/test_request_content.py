"""Contents of requests: what is whole is read, what is too large is not unfolded."""

from __future__ import annotations

import bz2
import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.http import Request
from mitmproxy.test import tutils

from rewriting.request_content import MOST_BYTES, TooLargeError, content_of

ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": lambda said: zstandard.ZstdCompressor().compress(said),
}
MEGABYTE = b" " * (1 << 20)
TIMES = (MOST_BYTES >> 20) + 1


def _brotli() -> Any:
    compressor = brotli.Compressor(quality=1)
    return compressor.process, compressor.finish


def _others(make: Callable[[], Any]) -> Callable[[], Any]:
    def made() -> Any:
        compressor = make()
        return compressor.compress, compressor.flush

    return made


STREAMS: dict[str, Callable[[], Any]] = {
    "gzip": _others(lambda: zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)),
    "deflate": _others(lambda: zlib.compressobj(1)),
    "br": _brotli,
    "zstd": _others(lambda: zstandard.ZstdCompressor().compressobj()),
}


def made(raw: bytes | None, encoding: str = "") -> Request:
    return tutils.treq(content=raw, headers=((b"content-encoding", encoding.encode()),) if encoding else ())


@given(st.binary(max_size=3000), st.sampled_from([*ENCODERS, "GZIP"]))
def test_what_was_encoded_comes_back(said: bytes, encoding: str) -> None:
    assert content_of(made(ENCODERS[encoding.lower()](said), encoding)) == said


@pytest.mark.parametrize("encoding", ["", "identity"])
def test_what_is_not_encoded_is_the_very_same(encoding: str) -> None:
    request = made(b"said", encoding)
    assert content_of(request) is request.raw_content


def test_what_was_sent_on_before_it_was_complete_is_not_there() -> None:
    assert content_of(made(None)) is None


def test_deflate_without_a_header_is_read_as_servers_read_it() -> None:
    assert content_of(made(zlib.compress(b"said", wbits=-zlib.MAX_WBITS), "deflate")) == b"said"


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("change", ["cut", "more", "twice", "other", "nothing"])
def test_what_is_not_one_whole_stream_is_not_read(encoding: str, change: str) -> None:
    """mitmproxy reads the first stream, and what there is of it: a rewrite would leave out the rest."""
    raw = ENCODERS[encoding](b"said " * 100)
    changed = {"cut": raw[:-1], "more": raw + b"x", "twice": raw + raw, "other": b"said", "nothing": b""}[change]
    with pytest.raises(ValueError, match=r"^(?!codecs)"):
        content_of(made(changed, encoding))


@pytest.mark.parametrize("encoding", ["bz2", "hex", "rot13", "utf-8", "x-gzip", "gzip, br", "snappy"])
def test_encodings_that_only_python_has_are_none(encoding: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        content_of(made(bz2.compress(b"said"), encoding))


@pytest.mark.parametrize("encoding", STREAMS)
def test_what_unfolds_to_too_much_is_not_unfolded(encoding: str) -> None:
    compress, flush = STREAMS[encoding]()
    raw = b"".join(compress(MEGABYTE) for _ in range(TIMES)) + flush()
    assert len(raw) < MOST_BYTES // 100
    request = made(raw, encoding)
    tracemalloc.start()
    try:
        with pytest.raises(TooLargeError):
            content_of(request)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES // 2
    finally:
        tracemalloc.stop()


def test_what_is_too_large_as_it_came_is_not_read() -> None:
    with pytest.raises(TooLargeError):
        content_of(made(b" " * (MOST_BYTES + 1)))
    assert content_of(made(b" " * MOST_BYTES)) == b" " * MOST_BYTES

"""How long the usage tap takes for a chunk: `.venv/bin/python scripts/benchmarks/usage_tap.py`."""

from __future__ import annotations

import json
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "addons"))

import brotli  # type: ignore[import-untyped]
import zstandard

from billing.usage_tap import UsageTap

_EVENTS = 5_000


def main() -> None:
    """Print a line an encoding."""
    for name, chunks in (("", events()), ("gzip", gzipped()), ("br", brotlied()), ("zstd", zstandarded())):
        tap = UsageTap("messages", "text/event-stream", name)
        show(name or "identity", tap, list(chunks))
    document = json.dumps({"content": "word " * 100_000, "usage": {"input_tokens": 1}}).encode()
    pieces = [document[start : start + 16_384] for start in range(0, len(document), 16_384)]
    show("JSON, 500 kB", UsageTap("messages", "application/json", ""), pieces)


def events() -> Iterator[bytes]:
    """A stream as Claude sends it: one event a chunk."""
    usage = {"input_tokens": 3, "cache_read_input_tokens": 70, "output_tokens": 1}
    yield event({"type": "message_start", "message": {"model": "made-up", "usage": usage}})
    for number in range(_EVENTS):
        text = f"some words of an answer, number {number} of many"
        yield event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})
    yield event({"type": "message_delta", "usage": {"output_tokens": 9}})
    yield event({"type": "message_stop"})


def event(data: dict[str, Any]) -> bytes:
    """One event."""
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()


def gzipped() -> Iterator[bytes]:
    """The same, each event flushed."""
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    yield from (packer.compress(one) + packer.flush(zlib.Z_SYNC_FLUSH) for one in events())
    yield packer.flush()


def brotlied() -> Iterator[bytes]:
    """The same, each event flushed."""
    packer = brotli.Compressor(quality=4)
    yield from (packer.process(one) + packer.flush() for one in events())
    yield packer.finish()


def zstandarded() -> Iterator[bytes]:
    """The same, each event flushed."""
    packer = zstandard.ZstdCompressor().compressobj()
    yield from (packer.compress(one) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) for one in events())
    yield packer.flush()


def show(name: str, tap: UsageTap, chunks: list[bytes]) -> None:
    """Lead the chunks through the tap, and print how long they took."""
    times = []
    for chunk in [*chunks, b""]:
        started = time.perf_counter_ns()
        tap(chunk)
        times.append((time.perf_counter_ns() - started) / 1000)
    if tap.usage is None:
        raise SystemExit(f"{name}: nothing was read ({tap.problem})")
    times.sort()
    p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
    print(f"{name:<14} {len(chunks):>6} chunks   p50 {p50:6.1f} µs   p99 {p99:6.1f} µs   most {times[-1]:8.1f} µs")


if __name__ == "__main__":
    main()

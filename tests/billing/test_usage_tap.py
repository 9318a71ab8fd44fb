from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from billing.usage import Usage
from billing.usage_tap import UsageTap
from tests.billing.answers import ANSWERS, ENCODERS, MESSAGES, Wire, aws, aws_frame, sse

AWS = "application/vnd.amazon.eventstream"

each_answer = pytest.mark.parametrize("wire", ANSWERS.values(), ids=ANSWERS.keys())


def through(tap: UsageTap, data: bytes, cuts: list[int] | None = None) -> None:
    """Lead `data` through a tap in pieces; each comes back at once and as it is."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts or [])})
    for start, end in itertools.pairwise(places):
        piece = data[start:end]
        assert tap(piece) is piece
    assert tap(b"") == b""


@each_answer
@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS.keys())
def test_what_was_billed_is_read_from_every_answer_in_every_encoding(wire: Wire, encoder: tuple[str, Any]) -> None:
    encoding, encode = encoder
    tap = UsageTap(wire.endpoint, wire.content_type, encoding)
    through(tap, encode(wire.body))
    assert (tap.usage, tap.model, tap.is_complete, tap.problem) == (wire.usage, "model-1", True, "")


@given(
    wire=st.sampled_from(list(ANSWERS.values())),
    encoder=st.sampled_from(list(ENCODERS.values())),
    cuts=st.lists(st.integers(0, 10_000), max_size=60),
)
def test_it_does_not_matter_where_the_network_cuts(wire: Wire, encoder: tuple[str, Any], cuts: list[int]) -> None:
    encoding, encode = encoder
    tap = UsageTap(wire.endpoint, wire.content_type, encoding)
    through(tap, encode(wire.body), cuts)
    assert (tap.usage, tap.is_complete) == (wire.usage, True)


@each_answer
def test_each_byte_by_itself(wire: Wire) -> None:
    tap = UsageTap(wire.endpoint, wire.content_type, "")
    through(tap, wire.body, list(range(len(wire.body))))
    assert tap.usage == wire.usage


@given(
    data=st.binary(max_size=400),
    endpoint=st.sampled_from(["messages", "chat_completions", "responses", "count_tokens", "unknown", ""]),
    content_type=st.sampled_from(["text/event-stream", AWS, "application/json", "", "text/html"]),
    encoding=st.sampled_from(["", "gzip", "deflate", "br", "zstd", "snappy", "gzip, br"]),
    cuts=st.lists(st.integers(0, 400), max_size=9),
)
def test_whatever_passes_passes_unchanged(
    data: bytes, endpoint: str, content_type: str, encoding: str, cuts: list[int]
) -> None:
    through(UsageTap(endpoint, content_type, encoding), data, cuts)


@given(st.data())
def test_whatever_a_frame_says_of_itself_passes_unchanged(data: st.DataObject) -> None:
    """A stream of Bedrock's with some bytes that are others: nothing is held back, and what is read is bounded."""
    stream = bytearray(aws(*MESSAGES))
    for place in data.draw(st.lists(st.integers(0, len(stream) - 1), max_size=4)):
        stream[place] = data.draw(st.integers(0, 255))
    tap = UsageTap("messages", AWS, "")
    through(tap, bytes(stream), data.draw(st.lists(st.integers(0, len(stream)), max_size=9)))
    assert len(tap._rest) <= len(stream)


def test_the_end_of_a_message_of_bedrocks_may_tell_of_more() -> None:
    stop = {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 5, "outputTokenCount": 7}}
    tap = UsageTap("messages", AWS, "")
    through(tap, aws(*MESSAGES[:-1], stop))
    assert (tap.usage, tap.is_complete) == (ANSWERS["messages"].usage, True)


@pytest.mark.parametrize("other", [b'{"message":"Too many"}', b"{", b"", b'{"bytes":"%"}', b'{"bytes":7}', b"[" * 9999])
def test_an_exception_among_bedrocks_frames_is_passed_over(other: bytes) -> None:
    tap = UsageTap("messages", AWS, "")
    through(tap, aws_frame(other, "exception", "throttlingException") + aws(*MESSAGES))
    assert (tap.is_complete, tap.problem) == (True, "")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"data: this is no frame\n\n", "ValueError"),
        (struct.pack(">II", 15, 0), "ValueError"),
        (struct.pack(">II", 20, 5), "ValueError"),
        (struct.pack(">II", 5 * 1024 * 1024, 0), "OverflowError"),
    ],
)
def test_frames_that_cannot_be_end_the_reading(data: bytes, problem: str) -> None:
    tap = UsageTap("messages", AWS, "")
    prelude = data + struct.pack(">I", zlib.crc32(data)) if problem == "OverflowError" or len(data) == 8 else data
    through(tap, prelude + aws(*MESSAGES))
    assert (tap.usage, tap.problem, len(tap._rest)) == (None, problem, 0)


def test_what_is_a_stream() -> None:
    kinds = {
        "text/event-stream; charset=utf-8": True,
        AWS: True,
        AWS.upper(): True,
        "application/json": False,
        "": False,
    }
    assert {kind: UsageTap("messages", kind, "").is_stream for kind in kinds} == kinds


OTHER_LINES = [b": ping", b"id: 1", b"retry: 5", b"event: message_start", b"data", b"unknown"]


def odd(chance: Random) -> Iterator[bytes]:
    """The events of `MESSAGES` in any of the ways that server-sent events may be written."""
    yield chance.choice([b"", b"\xef\xbb\xbf"])
    before = b""
    for event in MESSAGES:
        text = json.dumps(event, indent=chance.choice([None, 1])).encode()
        data = [b"data:" + chance.choice([b"", b" "]) + line for line in text.splitlines()]
        others = [chance.choices(OTHER_LINES, k=chance.randrange(3)) for _ in range(2)]
        for line in (*others[0], *data, *others[1], b""):
            # A line feed behind a carriage return would end no other line.
            ends = [b"\r\n", b"\r"] if not line and before == b"\r" else [b"\r\n", b"\r", b"\n"]
            before = chance.choice(ends)
            yield line + before


@given(seed=st.integers(0, 2**32), cuts=st.lists(st.integers(0, 10_000), max_size=60))
def test_events_may_be_written_in_every_way(seed: int, cuts: list[int]) -> None:
    wire = ANSWERS["messages, streamed"]
    tap = UsageTap(wire.endpoint, wire.content_type, "")
    through(tap, b"".join(odd(Random(seed))), cuts)
    assert (tap.usage, tap.is_complete, tap.problem) == (wire.usage, True, "")


def test_an_answer_that_ends_early_is_not_complete() -> None:
    for wire in ANSWERS.values():
        tap = UsageTap(wire.endpoint, wire.content_type, "")
        through(tap, wire.body[: len(wire.body) // 2])
        assert not tap.is_complete


def test_the_done_of_openai_ends_an_answer() -> None:
    tap = UsageTap("chat_completions", "text/event-stream", "")
    through(tap, b"data: [DONE]\n\n")
    assert tap.is_complete


@pytest.mark.parametrize(("endpoint", "encoding"), [("count_tokens", ""), ("", ""), ("messages", "gzip, br")])
def test_of_what_is_not_known_nothing_is_read(endpoint: str, encoding: str) -> None:
    tap = UsageTap(endpoint, "application/json", encoding)
    through(tap, ANSWERS["messages"].body)
    assert (tap.usage, tap.model, tap.is_complete, tap.problem) == (None, "", False, "")


def test_what_was_seen_before_an_error_is_kept() -> None:
    tap = UsageTap("messages", "text/event-stream", "")
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 5}}}
    through(tap, sse(start, {"type": "error", "error": {"type": "overloaded_error"}}))
    assert (tap.usage, tap.is_complete) == (Usage(uncached=5), False)


def test_an_answer_that_breaks_off_in_its_encoding_keeps_what_was_seen() -> None:
    wire = ANSWERS["messages, streamed"]
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    packed = packer.compress(wire.body) + packer.flush(zlib.Z_SYNC_FLUSH)
    tap = UsageTap(wire.endpoint, wire.content_type, "gzip")
    through(tap, packed + b"\xff" * 100, [len(packed)])
    assert (tap.usage, tap.is_complete, tap.problem) == (wire.usage, True, "error")


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
@pytest.mark.parametrize("mebibytes", [3, 9])
def test_events_and_documents_are_read_up_to_some_megabytes(content_type: str, mebibytes: int) -> None:
    tap = UsageTap("messages", content_type, "")
    data = b'data: {"usage": {"output_tokens": 1}, "x": "%b"}' % (b"a" * mebibytes * 1024 * 1024)
    data = data if "event" in content_type else data[len("data: ") :]
    through(tap, data, list(range(0, len(data), 65_536)))
    assert tap.problem == ("" if mebibytes == 3 else "OverflowError")
    assert len(tap._rest) == 0 or "event" in content_type


def test_few_bytes_that_unfold_to_many_events_are_given_up() -> None:
    tap = UsageTap("messages", "text/event-stream", "gzip")
    through(tap, gzip.compress(sse({"type": "message_stop"}) + b"a\n\n" * 5_000_000))
    assert (tap.is_complete, tap.problem) == (True, "OverflowError")


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("br", brotli.compress), ("zstd", zstandard.compress)]
)
@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
def test_what_unfolds_without_end_is_given_up(encoding: str, pack: Any, content_type: str) -> None:
    tap = UsageTap("messages", content_type, encoding)
    through(tap, pack(b" " * 40_000_000))
    assert tap.problem == "OverflowError"


class PanicError(BaseException):
    """As native code raises it: no Exception."""


@pytest.mark.parametrize(
    "error", [MemoryError, AttributeError, PanicError, KeyboardInterrupt, SystemExit, asyncio.CancelledError]
)
@pytest.mark.parametrize("where", ["reader", "decoder"])
def test_nothing_escapes(where: str, error: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Iterator[bytes]:
        raise error

    if where == "reader":
        monkeypatch.setattr("billing.usage_tap.told", fail)
    else:
        monkeypatch.setattr("billing.usage_tap.decoder_for", lambda _: fail)
    for wire in (ANSWERS["messages, streamed"], ANSWERS["messages"]):
        tap = UsageTap(wire.endpoint, wire.content_type, "")
        through(tap, wire.body, [100, 200])
        assert (tap.usage, tap.is_complete, tap.problem) == (None, False, error.__name__)


def test_what_was_seen_before_it_went_wrong_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = ANSWERS["messages, streamed"]
    tap = UsageTap(wire.endpoint, wire.content_type, "")
    half = len(wire.body) // 2
    assert tap(wire.body[:half]) == wire.body[:half]
    monkeypatch.setattr("billing.usage_tap.told", None)
    through(tap, wire.body[half:])
    assert (tap.usage, tap.problem) == (replace(wire.usage, output=1), "TypeError")

from __future__ import annotations

import gzip
import itertools
import json
from typing import Any

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from billing.usage import Usage
from billing.usage_tap import UsageTap
from tests.billing.answers import ANSWERS, ENCODERS, Wire, sse

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
    content_type=st.sampled_from(["text/event-stream", "application/json", "", "text/html"]),
    encoding=st.sampled_from(["", "gzip", "deflate", "br", "zstd", "snappy", "gzip, br"]),
    cuts=st.lists(st.integers(0, 400), max_size=9),
)
def test_whatever_passes_passes_unchanged(
    data: bytes, endpoint: str, content_type: str, encoding: str, cuts: list[int]
) -> None:
    through(UsageTap(endpoint, content_type, encoding), data, cuts)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(value=VALUES, kind=st.sampled_from(["message_start", "message_delta", "response.completed"]))
def test_figures_of_the_wrong_kind_are_no_figures(value: Any, kind: str) -> None:
    for name in ("message", "usage", "response", "choices", "model"):
        for endpoint in ("messages", "chat_completions", "responses"):
            tap = UsageTap(endpoint, "text/event-stream", "")
            through(tap, sse({"type": kind, name: value, "finish_reason": None}))
            assert not tap.problem
            assert tap.usage is None or min(tap.usage.uncached, tap.usage.output) >= 0


@pytest.mark.parametrize("given_", [-1, 1.5, "7", True, None, 10**12, [], {}])
def test_a_figure_that_is_none_leaves_the_others(given_: object) -> None:
    tap = UsageTap("messages", "application/json", "")
    through(tap, json.dumps({"usage": {"input_tokens": given_, "output_tokens": 9}}).encode())
    assert tap.usage == Usage(output=9)


def test_later_figures_take_the_place_of_earlier_ones() -> None:
    tap = UsageTap("messages", "text/event-stream", "")
    first = {"input_tokens": 5, "cache_read_input_tokens": 8, "output_tokens": 1}
    later = {"input_tokens": None, "cache_read_input_tokens": 9, "output_tokens": 4}
    through(tap, sse({"type": "message_start", "message": {"usage": first}}, {"type": "message_delta", "usage": later}))
    assert tap.usage == Usage(uncached=5, cache_read=9, output=4)
    assert not tap.is_complete


def test_what_was_seen_before_an_error_is_kept() -> None:
    tap = UsageTap("messages", "text/event-stream", "")
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 5}}}
    through(tap, sse(start, {"type": "error", "error": {"type": "overloaded_error"}}))
    assert (tap.usage, tap.is_complete) == (Usage(uncached=5), False)


def test_an_answer_that_breaks_off_in_its_encoding_keeps_what_was_seen() -> None:
    wire = ANSWERS["messages, streamed"]
    packed = gzip.compress(wire.body)
    tap = UsageTap(wire.endpoint, wire.content_type, "gzip")
    through(tap, packed[: len(packed) - 40] + b"\xff" * 100)
    assert not tap.is_complete or tap.problem


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("br", brotli.compress), ("zstd", zstandard.compress)]
)
@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
def test_what_unfolds_without_end_is_given_up(encoding: str, pack: Any, content_type: str) -> None:
    tap = UsageTap("messages", content_type, encoding)
    through(tap, pack(b" " * 40_000_000))
    assert tap.problem == "OverflowError"


@pytest.mark.parametrize("error", [MemoryError, AttributeError, KeyboardInterrupt, SystemExit])
def test_nothing_escapes(error: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("msgspec.json.decode", fail)
    wire = ANSWERS["messages, streamed"]
    tap = UsageTap(wire.endpoint, wire.content_type, "")
    through(tap, wire.body)
    assert (tap.usage, tap.problem) == (None, error.__name__)


def test_names_are_short_and_printable() -> None:
    tap = UsageTap("messages", "application/json", "")
    through(tap, json.dumps({"model": "a\nb\x00" + "c" * 1000, "usage": {"input_tokens": 1}}).encode())
    assert tap.model == "ab" + "c" * 96

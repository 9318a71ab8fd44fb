from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.aws_event_stream import take_messages
from tests.billing.answers import aws_frame

LARGEST = 1000


def payload(text: bytes) -> bytes:
    return json.dumps({"bytes": base64.b64encode(text).decode()}).encode()


@given(texts=st.lists(st.binary(min_size=1, max_size=90), max_size=9), step=st.integers(1, 400))
def test_messages_come_whole_and_in_order_wherever_the_network_cuts(texts: list[bytes], step: int) -> None:
    stream = b"".join(aws_frame(payload(text)) for text in texts)
    rest = bytearray()
    found: list[bytes] = []
    for start in range(0, len(stream), step):
        rest += stream[start : start + step]
        found += take_messages(rest, LARGEST)
        assert len(rest) < LARGEST, "what was read is let go"
    assert (found, bytes(rest)) == (texts, b"")


def test_what_says_nothing_is_passed_over() -> None:
    rest = bytearray(aws_frame(b"") + aws_frame(b'{"message":"no"}', "exception") + aws_frame(payload(b"x")) + b"\0\0")
    assert list(take_messages(rest, LARGEST)) == [b"x"]
    assert rest == b"\0\0"


def test_what_is_too_large_is_given_up_before_it_is_there() -> None:
    with pytest.raises(OverflowError):
        list(take_messages(bytearray(aws_frame(b" " * LARGEST)[:12]), LARGEST))


@given(st.binary(min_size=12, max_size=99))
def test_what_is_no_message_is_told_apart_by_its_first_bytes(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        list(take_messages(bytearray(data), LARGEST))

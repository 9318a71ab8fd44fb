"""The checks of laws.py notice what they are there to notice."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from compression_engine import Engine, Place, Policy, WireFormat
from demo.stand_in import Request
from tests.e2e.laws import STUB, Exchange, verify

NUMBERED = "\n".join(f"{number}\tthis is the line with the number {number * 37}" for number in range(1, 60))
REMINDER = "\n\n<system-reminder>\nmade-up\n</system-reminder>"
HEADERS = (("Host", "made-up"), ("x-api-key", "made-up"))


def exchange(turns: int, change: Callable[[bytes], bytes] = lambda body: body) -> Exchange:
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Look."}]
    for turn in range(turns):
        name = f"toolu_{turn}"
        text, is_error = (f"Exit code 1\n{NUMBERED}", True) if turn == 1 else (NUMBERED + REMINDER, False)
        call = {"type": "tool_use", "id": name, "name": "Read", "input": {"file_path": f"{turn}.py"}}
        result = {"tool_use_id": name, "type": "tool_result", "content": text, "is_error": is_error}
        messages += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    body = {"model": "made-up", "messages": messages, "system": "made-up", "stream": True}
    sent = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    arrived = change(Engine().rewrite(sent, WireFormat.ANTHROPIC_MESSAGES).body)
    path = "/anthropic/v1/messages"
    headers = (*HEADERS, ("Content-Length", str(len(arrived))))
    return Exchange("POST", path, HEADERS, sent, Request(1, "POST", path, headers, arrived, 0.0), 0.0)


def test_what_the_engine_does_keeps_the_laws() -> None:
    found = [exchange(turns) for turns in (0, 1, 2, 3)]
    assert found[-1].arrived.body != found[-1].sent
    verify(found)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b'"stream":true', b'"stream": true', id="a byte outside"),
        pytest.param(b'"system":"made-up"', b'"system":"another"', id="the system prompt"),
        pytest.param(b"Exit code 1", b"Exit code 2", id="the text of an error"),
        pytest.param(b"made-up\\n</system-reminder>", b"m\\n</system-reminder>", id="a reminder"),
        pytest.param(b"number 74", b"number 7", id="a line"),
        pytest.param(b"this is the line", b"this is indeed the very line and no other one", id="longer than before"),
    ],
)
def test_a_change_is_noticed(before: bytes, after: bytes) -> None:
    def change(body: bytes) -> bytes:
        assert before in body
        return body.replace(before, after)

    with pytest.raises(AssertionError):
        verify([exchange(3, change)])


def test_a_header_that_changes_is_noticed() -> None:
    whole = exchange(1)
    for headers in ((HEADERS[1], HEADERS[0]), (HEADERS[0], ("x-api-key", "another")), HEADERS[:1]):
        length = ("Content-Length", str(len(whole.arrived.body)))
        changed = dataclasses.replace(whole, arrived=dataclasses.replace(whole.arrived, headers=(*headers, length)))
        with pytest.raises(AssertionError):
            verify([changed])


def test_a_prefix_that_changes_is_noticed() -> None:
    first, later = exchange(1), exchange(2)
    raw = dataclasses.replace(first, arrived=dataclasses.replace(first.arrived, body=first.sent))
    length = ("Content-Length", str(len(first.sent)))
    raw = dataclasses.replace(raw, arrived=dataclasses.replace(raw.arrived, headers=(*HEADERS, length)))
    verify([raw])
    with pytest.raises(AssertionError, match="changed between two turns"):
        verify([raw, later])


def recalling(change: Callable[[bytes], bytes] = lambda body: body) -> Exchange:
    """Two results that are set aside, and one reading of what the first of them was."""
    whole = exchange(3)
    policy = Policy(aside=(Place(2, 0), Place(6, 0)))
    aside = Engine().rewrite(whole.sent, WireFormat.ANTHROPIC_MESSAGES, lambda _: policy).body
    path = STUB.findall(aside.decode())[0][1]
    body = json.loads(whole.sent)
    call = {"type": "tool_use", "id": "toolu_9", "name": "Read", "input": {"file_path": path, "offset": 2, "limit": 3}}
    result = {"tool_use_id": "toolu_9", "type": "tool_result", "content": "File does not exist.", "is_error": True}
    body["messages"] += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    sent = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    arrived = change(Engine().rewrite(sent, WireFormat.ANTHROPIC_MESSAGES, lambda _: policy).body)
    headers = (*HEADERS, ("Content-Length", str(len(arrived))))
    request = Request(1, "POST", whole.sent_path, headers, arrived, 0.0)
    return Exchange("POST", whole.sent_path, HEADERS, sent, request, 0.0)


def test_what_is_set_aside_and_recalled_keeps_the_laws() -> None:
    found = recalling()
    assert [result.stub is not None for result in found.results] == [True, False, True, False]
    assert [result.is_recalled for result in found.results] == [False, False, False, True]
    verify([found])


@pytest.mark.parametrize("which", [0, 1])
def test_a_stub_that_brings_another_result_is_noticed(which: int) -> None:
    def change(body: bytes) -> bytes:
        keys: list[bytes] = [found[2].encode() for found in STUB.findall(body.decode())]
        first, _, rest = body.partition(keys[which])
        return first + keys[1 - which] + rest

    with pytest.raises(AssertionError, match="a line stands for another result"):
        verify([recalling(change)])


def test_a_recalled_text_that_is_not_the_original_is_noticed() -> None:
    def change(body: bytes) -> bytes:
        start, recalled, end = body.rpartition(b"2\\tthis is the line with the number 74")
        assert recalled
        return start + b"2\\tthis is the line with the number 7" + end

    with pytest.raises(AssertionError):
        verify([recalling(change)])


def test_only_a_pause_excuses_a_prefix_that_changes() -> None:
    first, later = exchange(3), recalling()
    later = dataclasses.replace(later, arrived=dataclasses.replace(later.arrived, at=10.0))
    verify([first, later], 9.0)
    with pytest.raises(AssertionError, match="changed between two turns"):
        verify([first, later], 60.0)

from __future__ import annotations

import json
from typing import Any

import pytest

from demo.answers import (
    Answer,
    Refusal,
    ToolUse,
    bad_request,
    events,
    message,
    overloaded,
    rate_limited,
    unauthorized,
)

ANSWER = Answer(("I look, and I say so in more than one piece of text.", ToolUse("Read", {"file_path": "ä" * 90})))
USAGE = {"input_tokens": 7}
QUESTION = {"role": "user", "content": "?"}


def body(*messages: dict[str, Any]) -> bytes:
    return json.dumps({"model": "made-up", "messages": messages}).encode()


def streamed(answer: Answer, request: bytes) -> list[dict[str, Any]]:
    found = []
    for event in events(message(answer, request, USAGE)):
        name, data, *end = event.decode().split("\n")
        assert end == ["", ""]
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


def test_a_stream_adds_up_to_the_whole_message() -> None:
    request = body(QUESTION)
    whole = message(ANSWER, request, USAGE)
    start, *middle, delta, stop = streamed(ANSWER, request)

    contents: list[dict[str, Any]] = []
    inputs = ""
    for event in middle:
        if event["type"] == "content_block_start":
            assert event["index"] == len(contents)
            contents.append(event["content_block"])
        elif event["type"] == "content_block_delta" and event["delta"]["type"] == "text_delta":
            contents[event["index"]]["text"] += event["delta"]["text"]
        elif event["type"] == "content_block_delta":
            inputs += event["delta"]["partial_json"]
    contents[1]["input"] = json.loads(inputs)

    assert contents == whole["content"]
    assert start["message"]["id"] == whole["id"]
    assert start["message"]["content"] == []
    assert delta["delta"]["stop_reason"] == whole["stop_reason"] == "tool_use"
    assert stop == {"type": "message_stop"}
    assert len([event for event in middle if event["type"] == "content_block_delta"]) > 3


def test_an_answer_without_calls_ends_the_turn() -> None:
    assert message(Answer(("Done.",)), body(QUESTION), USAGE)["stop_reason"] == "end_turn"


def test_a_repeated_request_gets_the_same_ids_and_another_one_others() -> None:
    two = Answer((ToolUse("Read", {}), ToolUse("Read", {})))
    first = [block["id"] for block in message(two, body(QUESTION), USAGE)["content"]]
    again = [block["id"] for block in message(two, body(QUESTION), USAGE)["content"]]
    later = [block["id"] for block in message(two, body(QUESTION, QUESTION), USAGE)["content"]]

    assert first == again
    assert len({*first, *later}) == 4


@pytest.mark.parametrize(
    ("refusal", "status", "kind"),
    [
        (bad_request("no"), 400, "invalid_request_error"),
        (rate_limited(), 429, "rate_limit_error"),
        (overloaded(), 529, "overloaded_error"),
    ],
)
def test_refusals_are_worded_as_the_messages_api_words_them(refusal: Refusal, status: int, kind: str) -> None:
    assert refusal.status == status
    parsed = json.loads(refusal.body)
    assert (parsed["type"], parsed["error"]["type"]) == ("error", kind)


def test_a_wrong_key_is_refused_as_azure_refuses_it() -> None:
    assert unauthorized().status == 401
    assert json.loads(unauthorized().body)["error"]["code"] == "401"


def test_a_rate_limit_says_when_to_come_again() -> None:
    assert ("retry-after", "7") in rate_limited(7).headers

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from compression_engine import Engine
from tests.compression_engine.bodies import numbered, source_lines, turns
from tests.compression_engine.openai_bodies import CHAT, RESPONSES, body_in
from tests.web_view.flows import VALUES, brought_back, rewritten
from web_view.pairs import Pair
from web_view.results import call_label, compared

READING = numbered(source_lines(60))


def test_every_result_with_its_tool_and_what_was_done() -> None:
    before, treatment = rewritten()
    assert treatment.body is not None
    results = compared(Pair(before, treatment.body, treatment.changes))
    assert [(one.number, one.tool, one.label, one.is_rewritten) for one in results] == [
        (1, "Read", "/src/a.py", True),
        (2, "Bash", "cat b c", False),
        (3, "Read", "/src/a.py", True),
    ]
    assert [one.change for one in results if one.is_rewritten] == list(treatment.changes)
    assert [one.change for one in results if not one.is_rewritten] == [None]


def test_what_was_brought_back_is_no_change() -> None:
    before, treatment = brought_back()
    assert treatment.body is not None
    stub, back = compared(Pair(before, treatment.body, treatment.changes))
    assert (stub.change, back.change) == (treatment.changes[0], None)
    assert (stub.is_brought_back, back.is_brought_back) == (False, True)
    assert back.is_error
    assert back.after == stub.before


def test_where_changes_and_results_do_not_fit_none_is_guessed() -> None:
    before, treatment = rewritten()
    assert treatment.body is not None
    results = compared(Pair(before, treatment.body, treatment.changes[:1]))
    assert [one.change for one in results] == [None, None, None]


def test_in_the_formats_of_openai_too() -> None:
    session = turns(
        ("Read", {"file_path": "/src/a.py"}, READING),
        ("Bash", {"command": "make"}, "done"),
        ("Read", {"file_path": "/src/a.py"}, READING),
    )
    for wire_format in (CHAT, RESPONSES):
        raw = body_in(wire_format, session)
        rewrite = Engine().rewrite(raw, wire_format)
        results = compared(Pair(raw, rewrite.body, rewrite.changes))
        assert [(one.number, one.tool, one.label, one.is_rewritten) for one in results] == [
            (1, "Read", "/src/a.py", True),
            (2, "Bash", "make", False),
            (3, "Read", "/src/a.py", True),
        ]
        assert [one.change for one in results if one.is_rewritten] == list(rewrite.changes)


@pytest.mark.parametrize(
    "items",
    [
        [{"type": "shell_call_output", "call_id": "c", "output": [{"stdout": READING, "stderr": ""}]}],
        [{"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": READING}]}],
        [{"type": "mcp_call", "id": "c", "output": "known"}, {"type": "custom_tool_call_output", "output": READING}],
    ],
)
def test_whatever_the_engine_rewrites_of_items_is_seen(items: list[Any]) -> None:
    raw = json.dumps({"input": items}).encode()
    rewrite = Engine().rewrite(raw, RESPONSES)
    rewritten = [one for one in compared(Pair(raw, rewrite.body, rewrite.changes)) if one.is_rewritten]
    assert [one.change for one in rewritten] == list(rewrite.changes)
    assert len(rewritten) == 1


def test_old_clients_name_the_function() -> None:
    call = {"role": "assistant", "content": None, "function_call": {"name": "Read", "arguments": '{"path":"a.py"}'}}
    raw = json.dumps({"messages": [call, {"role": "function", "name": "Read", "content": READING}]}).encode()
    rewrite = Engine().rewrite(raw, CHAT)
    (only,) = compared(Pair(raw, rewrite.body, rewrite.changes))
    assert (only.tool, only.label, only.change) == ("Read", "a.py", rewrite.changes[0])


@given(VALUES, VALUES)
def test_whatever_stands_in_a_body(one: Any, other: Any) -> None:
    held = [
        *(one, [{"content": one}], [{"content": [{"type": "tool_result", "content": other}]}]),
        [{"role": one, "content": other, "tool_calls": one, "function_call": other}],
        [{"role": "assistant", "tool_calls": [{"function": {"arguments": one}, "id": other}]}],
        [{"type": "function_call_output", "output": one}, {"type": "mcp_call", "output": [other], "action": one}],
    ]
    for messages in held:
        for name in ("messages", "input"):
            compared(Pair(json.dumps({name: messages}).encode(), json.dumps(other).encode()))
            compared(Pair(json.dumps({name: messages}).encode(), json.dumps({name: messages}).encode()))


@pytest.mark.parametrize("body", [b"", b"\xff", b"[" * 50_000, b"3"])
def test_what_is_no_json(body: bytes) -> None:
    assert compared(Pair(body, body)) == []


@pytest.mark.parametrize(
    ("given_", "label"), [(None, ""), ({"command": 3, "path": "a"}, "a"), ({"command": "x" * 300}, "x" * 200 + "…")]
)
def test_labels_are_one_short_line(given_: object, label: str) -> None:
    assert call_label(given_) == label

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from tests.web_view.flows import VALUES, brought_back, rewritten
from web_view.pairs import Pair
from web_view.results import call_label, compared


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


@given(VALUES, VALUES)
def test_whatever_stands_in_a_body(one: Any, other: Any) -> None:
    for messages in (one, [{"content": one}], [{"content": [{"type": "tool_result", "content": other}]}]):
        compared(Pair(json.dumps({"messages": messages}).encode(), json.dumps(other).encode()))


@pytest.mark.parametrize("body", [b"", b"\xff", b"[" * 50_000, b"3"])
def test_what_is_no_json(body: bytes) -> None:
    assert compared(Pair(body, body)) == []


@pytest.mark.parametrize(
    ("given_", "label"), [(None, ""), ({"command": 3, "path": "a"}, "a"), ({"command": "x" * 300}, "x" * 200 + "…")]
)
def test_labels_are_one_short_line(given_: object, label: str) -> None:
    assert call_label(given_) == label

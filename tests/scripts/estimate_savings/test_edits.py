from __future__ import annotations

from typing import Any

import pytest

from compression_engine import SET_ASIDE
from estimate_savings.contexts import Part, Request, Step
from estimate_savings.edits import is_out_of_view, lines_to_edit
from estimate_savings.replay import Result


def answer(*inputs: Any) -> Part:
    return Part("assistant", [{"type": "tool_use", "input": given} for given in inputs])


def result(sent: str, arrived: str | None = None) -> Result:
    aside = arrived is not None
    return Result("id", "Read", SET_ASIDE if aside else "", sent, sent if arrived is None else arrived, 9, 9)


def step(*parts: Part) -> Step:
    return Step(Request("r", "m", None), list(parts))


def test_the_lines_that_an_edit_takes_out() -> None:
    edits = {"file_path": "/x", "edits": [{"old_string": "  count = 1\n}\n", "new_string": "something else"}]}
    found = lines_to_edit(answer({"old_string": "\tcount = 1\n\ttotal = 2"}, edits, {"command": "old_string"}, "x"))
    assert found == ["count = 1", "total = 2"]
    assert lines_to_edit(Part("assistant", [{"type": "text", "text": "old_string"}])) == []


@pytest.mark.parametrize(
    ("results", "parts", "expected"),
    [
        ([result("1\tcount = 1", "[set aside]")], [], True),
        ([result("1\tcount = 1")], [], False),
        # What nobody has shown was known from elsewhere.
        ([result("1\tother = 1", "[set aside]")], [], False),
        ([result("1\tcount = 1", "[set aside]"), result("7:  count = 1")], [], False),
        # A line of failure stays.
        ([result("count = 1 failed", "[set aside]\ncount = 1 failed")], [], False),
        ([result("1\tcount = 1", "[set aside]")], [answer({"new_string": "\tcount = 1"})], False),
        ([result("1\tcount = 1", "[set aside]")], [Part("user", [{"type": "text", "text": "count = 1?"}])], False),
        (
            [result("1\tcount = 1", "[set aside]")],
            [Part("user", [{"type": "tool_result", "content": "1\tcount = 1"}])],
            True,
        ),
    ],
)
def test_what_is_out_of_view(results: list[Result], parts: list[Part], expected: bool) -> None:
    assert is_out_of_view(["count = 1"], results, [step(), step(*parts)]) is expected
    assert is_out_of_view(["}", "count = 1"], iter(results), [step(*parts)]) is expected
    assert not is_out_of_view([], results, [step(*parts)])

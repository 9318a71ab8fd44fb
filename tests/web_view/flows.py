"""Flows and bodies for tests."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.test import tflow, tutils

from compression_engine import Engine, Place, Policy, WireFormat
from rewriting.treatment import Treatment
from tests.compression_engine.bodies import body, call, numbered, result, source_lines, turns

__all__ = ["SESSION", "VALUES", "as_json", "brought_back", "made_flow", "rewritten"]

_LINES = source_lines(60)

SESSION: list[Any] = [
    *turns(("Read", {"file_path": "/src/a.py"}, numbered(_LINES)), ("Bash", {"command": "cat b\n c"}, "short")),
    call("toolu_again", "Read", file_path="/src/a.py"),
    result("toolu_again", numbered(_LINES)),
]

_NAMES = ["type", "content", "text", "id", "role", "input", "messages", "tools", "tool_calls", "function", "name"]
_KINDS = ["text", "tool_use", "tool_result", "function_call", "function_call_output", "thinking", "tool"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.sampled_from(_KINDS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=4)
        | st.fixed_dictionaries({"type": st.sampled_from(_KINDS), "content": inner})
    ),
    max_leaves=12,
)
"""JSON values, many of them nearly what a conversation consists of."""


def made_flow(content: bytes, **headers: str) -> http.HTTPFlow:
    """A request to Foundry as the client sent it."""
    fields = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
    request = tutils.treq(method=b"POST", path=b"/anthropic/v1/messages?beta=true", content=content, headers=fields)
    return tflow.tflow(req=request)


def rewritten(messages: list[Any] = SESSION, policy: Policy | None = None) -> tuple[bytes, Treatment]:
    """A body, and what is done to it."""
    before = body(messages)
    done = Engine().rewrite(before, WireFormat.ANTHROPIC_MESSAGES, lambda _: policy or Policy())
    is_rewritten = done.outcome == "rewritten"
    new = done.body if is_rewritten else None
    return before, Treatment(done.outcome, new, len(before), len(done.body), done.changes)


def brought_back() -> tuple[bytes, Treatment]:
    """A body in which a result was set aside and has been read again, and what is done to it."""
    made = [*turns(("Bash", {"command": "made"}, "\n".join(source_lines(60))))]
    aside = Policy(aside=(Place(2, 0),))
    _, first = rewritten(made, aside)
    found = re.search(rb"\.foundry-compress/[0-9a-f]+\.txt", first.body or b"")
    assert found, first
    read = call("toolu_read", "Read", file_path=found[0].decode())
    answer = result("toolu_read", "File does not exist. Note: your current working directory is /x.", is_error=True)
    return rewritten([*made, read, answer], aside)


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()

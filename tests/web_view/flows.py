"""Flows and bodies for tests."""

from __future__ import annotations

import json
from typing import Any

from mitmproxy import http
from mitmproxy.test import tflow, tutils

from compression_engine import Engine, WireFormat
from tests.compression_engine.bodies import body, call, numbered, result, source_lines, turns
from treatment import Treatment

__all__ = ["SESSION", "made_flow", "rewritten"]

_LINES = source_lines(60)

SESSION: list[Any] = [
    *turns(("Read", {"file_path": "/src/a.py"}, numbered(_LINES)), ("Bash", {"command": "cat b\n c"}, "short")),
    call("toolu_again", "Read", file_path="/src/a.py"),
    result("toolu_again", numbered(_LINES)),
]


def made_flow(content: bytes, **headers: str) -> http.HTTPFlow:
    """A request to Foundry as the client sent it."""
    fields = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
    request = tutils.treq(method=b"POST", path=b"/anthropic/v1/messages?beta=true", content=content, headers=fields)
    return tflow.tflow(req=request)


def rewritten(messages: list[Any] = SESSION) -> tuple[bytes, Treatment]:
    """A body, and what is done to it."""
    before = body(messages)
    done = Engine().rewrite(before, WireFormat.ANTHROPIC_MESSAGES)
    return before, Treatment("rewritten", done.body, len(before), len(done.body), done.changes)


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()

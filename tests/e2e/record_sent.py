"""A mitmproxy script that stands before the addon and writes down what the client sent, one JSON line a request.

Each line goes to $FOUNDRY_TEST_SENT once the answer is there, under the answer's `request-id`, by which the stand-in's
record of the same request is found; `at` is when the request came, in seconds of the monotonic clock, and `ahead` what
the file $CLOCK_AHEAD said then. Where tunnels were to lead goes to $FOUNDRY_TEST_TUNNELS.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from time import monotonic

from mitmproxy.http import HTTPFlow

sys.path.append(str(Path(__file__).resolve().parents[2]))

from tests.e2e.ahead import ahead

_FILE = Path(os.environ["FOUNDRY_TEST_SENT"])
_TUNNELS = Path(os.environ["FOUNDRY_TEST_TUNNELS"])
_CLOCK = Path(os.environ["CLOCK_AHEAD"])
_waiting: dict[str, dict[str, object]] = {}


def http_connect(flow: HTTPFlow) -> None:
    with _TUNNELS.open("a", encoding="utf-8") as file:
        file.write(f"{flow.request.host}:{flow.request.port}\n")


def request(flow: HTTPFlow) -> None:
    _waiting[flow.id] = {
        "at": monotonic(),
        "ahead": ahead(_CLOCK),
        "method": flow.request.method,
        "path": flow.request.path,
        "headers": [(name.decode(), value.decode()) for name, value in flow.request.headers.fields],
        "body": base64.b64encode(flow.request.raw_content or b"").decode(),
    }


def responseheaders(flow: HTTPFlow) -> None:
    line = _waiting.pop(flow.id, None)
    if line is not None and flow.response is not None and "request-id" in flow.response.headers:
        with _FILE.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line | {"request_id": flow.response.headers["request-id"]}) + "\n")

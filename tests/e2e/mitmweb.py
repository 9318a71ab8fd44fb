"""What mitmweb's own API says, for tests that look at flows as a person does."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

__all__ = ["ask", "web_options"]

_PASSWORD = "made-up-password"
_XSRF = "0" * 32


def web_options(port: int) -> dict[str, str]:
    """The options of a mitmweb whose API is on `port`."""
    return {"web_port": str(port), "web_open_browser": "false", "web_password": _PASSWORD}


def ask(port: int, path: str, document: object = None) -> Any:
    """What it answers to a GET, or to a POST of `document`."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        data=None if document is None else json.dumps(document).encode(),
        headers={
            "Authorization": f"Bearer {_PASSWORD}",
            "Content-Type": "application/json",
            "Cookie": f"_mitmproxy_xsrf={_XSRF}",
            "X-XSRFToken": _XSRF,
        },
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)

"""A request as it came and as it went, in a file for a bug report. It holds the conversation, and no credentials."""

from __future__ import annotations

import json
from pathlib import Path

from mitmproxy.http import HTTPFlow

from web_view.marks import OUTCOME
from web_view.pairs import Pair
from whole_file import write_whole

__all__ = ["exported", "write_private"]

# Headers that hold no secret, and that tell something about how a request was treated.
_SHOWN_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "anthropic-beta",
        "anthropic-version",
        "content-encoding",
        "content-length",
        "content-type",
        "transfer-encoding",
        "user-agent",
    }
)


def exported(flow: HTTPFlow, pair: Pair) -> str:
    """A JSON document. The bodies are strings; bytes that are no UTF-8 are lone surrogates, as Python has them."""
    request = flow.request
    headers = [
        [name, value if name.lower() in _SHOWN_HEADERS else "(left out)"]
        for name, value in request.headers.items(multi=True)
    ]
    document = {
        "outcome": flow.metadata.get(OUTCOME),
        "comment": flow.comment,
        "method": request.method,
        "path": request.path.partition("?")[0],
        "headers": headers,
        "before": pair.before.decode(errors="surrogateescape"),
        "after": pair.after.decode(errors="surrogateescape"),
    }
    return json.dumps(document, indent=2)


def write_private(file: Path, text: str) -> None:
    """Write `file` anew, for its owner only, also where there was one for others. Raises OSError."""
    if file.exists() and not file.is_file():
        raise OSError(None, "it is no file")
    write_whole(file, text.encode(), 0o600)

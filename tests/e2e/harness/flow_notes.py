"""A mitmproxy script that writes what is noted at flows to $FLOW_NOTES, one JSON line for each of their events.

It stands behind the addon, and so sees what that has noted. What flows are made of is left out: bodies, headers,
and mitmproxy's own word for an error, which may quote an answer that is no HTTP. With $FLOW_EXPORT, rewritten requests
are exported there, each in the place of the last.
"""

import json
import os
from pathlib import Path

from mitmproxy import ctx
from mitmproxy.http import HTTPFlow

_FILE = Path(os.environ["FLOW_NOTES"])
_EXPORT = os.environ.get("FLOW_EXPORT")


def _note(event: str, flow: HTTPFlow) -> None:
    noted = {"comment": flow.comment, "marked": flow.marked, "metadata": repr(flow.metadata)}
    with _FILE.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"event": event, **noted}) + "\n")


def request(flow: HTTPFlow) -> None:
    _note("request", flow)


def response(flow: HTTPFlow) -> None:
    _note("response", flow)
    if _EXPORT and flow.comment.startswith("rewritten"):
        ctx.master.commands.call("foundry.export", [flow], _EXPORT)


def error(flow: HTTPFlow) -> None:
    _note("error", flow)

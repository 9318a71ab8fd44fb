"""The demo's client: a session as Claude Code would hold it, through the proxy, and a report of what arrived.

Run as `python -m demo.client` with the environment that `claude-foundry` gives Claude Code (HTTPS_PROXY,
NODE_EXTRA_CA_CERTS, ANTHROPIC_FOUNDRY_RESOURCE, ANTHROPIC_FOUNDRY_API_KEY) and DEMO_STAND_IN_PORT.
Exit code 0 if everything that the report claims is so, 1 if not.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import ssl
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from demo.answers import Answer, ToolUse
from demo.conversation import CONVERSATION, QUESTION
from demo.report import Exchange, faults, report
from demo.tools import run_tool

__all__ = ["main"]

_PROJECT = Path(__file__).resolve().parents[2]
_SECONDS = 60
_SYSTEM = "You are the model of a demo. This stands for the system prompt of a coding agent; it is never touched."
_TOOLS = [
    {"name": name, "description": f"Stands for the tool {name}.", "input_schema": {"type": "object"}}
    for name in ("Bash", "Read", "Edit")
]


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as the client wrote it, and what in it is new."""

    news: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Connection:
    """One kept-alive connection to the resource, through the proxy."""

    def __init__(self, environment: dict[str, str]) -> None:
        proxy = urlsplit(environment["HTTPS_PROXY"])
        self._host = f"{environment['ANTHROPIC_FOUNDRY_RESOURCE']}.services.ai.azure.com"
        self._key = environment["ANTHROPIC_FOUNDRY_API_KEY"]
        trust = ssl.create_default_context(cafile=environment["NODE_EXTRA_CA_CERTS"])
        self._http = http.client.HTTPSConnection(
            proxy.hostname or "127.0.0.1", proxy.port, context=trust, timeout=_SECONDS
        )
        self._http.set_tunnel(self._host, 443)

    def post(self, body: bytes) -> tuple[tuple[tuple[str, str], ...], list[dict[str, Any]]]:
        """Send `body`. Returns the headers that went with it and the content of the streamed answer."""
        headers = (
            ("Accept", "application/json"),
            ("Content-Type", "application/json"),
            ("User-Agent", "foundry-compress-demo/0.1.0"),
            ("anthropic-version", "2023-06-01"),
            ("x-api-key", self._key),
            ("Connection", "keep-alive"),
            ("Host", self._host),
            ("Accept-Encoding", "identity"),
            ("Content-Length", str(len(body))),
        )
        path = "/anthropic/v1/messages?beta=true"
        self._http.putrequest("POST", path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            self._http.putheader(name, value)
        self._http.endheaders(body)
        response = self._http.getresponse()
        if response.status != http.HTTPStatus.OK:
            raise ConnectionError(f"the stand-in answered {response.status}: {response.read(500)!r}")
        return headers, _content_blocks(response)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


def hold_session(connection: Connection, directory: Path) -> list[Sent]:
    """Ask the demo's question and do what the stand-in asks for, until it asks for nothing more."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]
    news, sent = "the question", []
    while True:
        body = _body(messages, directory)
        headers, content = connection.post(body)
        sent.append(Sent(news, headers, body))
        messages.append({"role": "assistant", "content": content})
        calls = [block for block in content if block["type"] == "tool_use"]
        if not calls:
            return sent
        messages.append({"role": "user", "content": [_result(call, directory) for call in calls]})
        news = "; ".join(_label(call) for call in calls)


def main() -> int:
    """Run the demo."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end)  # so that its directory goes with it
    environment = dict(os.environ)
    try:
        with tempfile.TemporaryDirectory(prefix="foundry-demo-") as name:
            directory = Path(name).resolve()
            (directory / "project").symlink_to(_PROJECT)
            connection = Connection(environment)
            try:
                sent = hold_session(connection, directory)
            finally:
                connection.close()
        exchanges = _paired(sent, _arrived(int(environment["DEMO_STAND_IN_PORT"])))
    except KeyError as missing:
        print(
            f"demo: the variable {missing} is not set; start the demo with scripts/claude-foundry --demo",
            file=sys.stderr,
        )
        return 1
    except (OSError, http.client.HTTPException, ValueError) as problem:
        print(f"demo: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    print(report(exchanges))
    found = faults(exchanges)
    for fault in found:
        print(f"demo: {fault}", file=sys.stderr)
    return 1 if found else 0


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _body(messages: list[dict[str, Any]], directory: Path) -> bytes:
    """Compact, unescaped JSON with `cache_control` on the newest block only, as Claude Code writes it."""
    *earlier, last = messages
    *blocks, newest = last["content"]
    marked = {**last, "content": [*blocks, {**newest, "cache_control": {"type": "ephemeral"}}]}
    body = {
        "model": "claude-sonnet-4-5",
        "messages": [*earlier, marked],
        "system": [{"type": "text", "text": f"{_SYSTEM}\n - Primary working directory: {directory}"}],
        "tools": _TOOLS,
        "max_tokens": 32000,
        "stream": True,
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _result(call: dict[str, Any], directory: Path) -> dict[str, Any]:
    # The stand-in's own calls and no others: whoever else answered may not run commands here.
    asked = ToolUse(call["name"], call["input"])
    if not any(asked in answer.blocks for answer in CONVERSATION if isinstance(answer, Answer)):
        raise ValueError(f"the answer asks for something that the demo does not do: {call['name']}")
    text, is_error = run_tool(asked, directory)
    return {"tool_use_id": call["id"], "type": "tool_result", "content": text, "is_error": is_error}


def _label(call: dict[str, Any]) -> str:
    target = call["input"].get("command") or call["input"]["file_path"]
    return f"{call['name']} {target}"


def _content_blocks(stream: http.client.HTTPResponse) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    inputs: dict[int, str] = {}
    for line in stream:
        if not line.startswith(b"data: "):
            continue
        event = json.loads(line[len(b"data: ") :])
        match event["type"]:
            case "content_block_start":
                blocks.append(event["content_block"])
            case "content_block_delta" if event["delta"]["type"] == "text_delta":
                blocks[event["index"]]["text"] += event["delta"]["text"]
            case "content_block_delta":
                inputs[event["index"]] = inputs.get(event["index"], "") + event["delta"]["partial_json"]
    for index, text in inputs.items():
        blocks[index]["input"] = json.loads(text)
    return blocks


def _arrived(port: int) -> list[dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        connection.request("GET", "/stand-in/requests")
        requests: list[dict[str, Any]] = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return requests


def _paired(sent: list[Sent], arrived: list[dict[str, Any]]) -> list[Exchange]:
    if len(sent) != len(arrived):
        raise ValueError(f"{len(sent)} requests were sent, but {len(arrived)} arrived")
    return [
        Exchange(
            news=request.news,
            sent_headers=request.headers,
            sent=request.body,
            arrived_headers=tuple((name, value) for name, value in there["headers"]),
            arrived=base64.b64decode(there["body"]),
        )
        for request, there in zip(sent, arrived, strict=True)
    ]


if __name__ == "__main__":
    sys.exit(main())

"""The laws of docs/architecture.md, checked on what a client sent and what arrived without the engine's parser."""

from __future__ import annotations

import base64
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from compression_engine import WireFormat, restore, tokens
from demo.report import as_shown
from demo.stand_in import Request, StandIn

__all__ = ["Exchange", "Result", "exchanges", "messages_exchanges", "verify"]

_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>", re.DOTALL)
_JSON_STRING = r'"(?:[^"\\]|\\.)*"'
_MARK = "here stands the text of a tool result"


@dataclass(frozen=True)
class Result:
    """The text of one tool result (of one text block, where there are several) as sent and as arrived."""

    sent: str
    arrived: str
    is_error: bool


@dataclass(frozen=True)
class Exchange:
    """One request: as the client sent it, and as the stand-in got it."""

    sent_method: str
    sent_path: str
    sent_headers: tuple[tuple[str, str], ...]
    sent: bytes
    arrived: Request

    @cached_property
    def sent_messages(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = json.loads(self.sent)["messages"]
        return messages

    @property
    def conversation(self) -> tuple[str | None, ...]:
        """What the requests of one conversation have in common; a sub-agent's is one of its own."""
        return self.arrived.header("x-claude-code-session-id"), self.arrived.header("x-claude-code-agent-id")

    @cached_property
    def results(self) -> list[Result]:
        """Every tool result's text, by fitting the arrived bytes to the client's with those texts left open.

        Fails if any other byte differs.
        """
        body = json.loads(self.sent)
        assert _json(body) == self.sent, "the client no longer writes the JSON that this check relies on"
        texts = list(_result_texts(body["messages"]))
        before = [(holder[key], error) for holder, key, error in texts]
        for holder, key, _ in texts:
            holder[key] = _MARK
        fixed = _json(body).decode().split(json.dumps(_MARK))
        assert len(fixed) == len(texts) + 1
        pattern = f"({_JSON_STRING})".join(re.escape(piece) for piece in fixed)
        fits = re.fullmatch(pattern, self.arrived.body.decode())
        assert fits, "bytes outside the texts of tool results arrived changed"
        return [
            Result(sent, json.loads(after), error) for (sent, error), after in zip(before, fits.groups(), strict=True)
        ]


def exchanges(stand_in: StandIn, sent_file: Path) -> list[Exchange]:
    """Bring together what the client sent and what arrived, in the order of arrival; nothing may be missing."""
    sent = {line["request_id"]: line for line in map(json.loads, sent_file.read_text(encoding="utf-8").splitlines())}
    assert set(sent) == {request.request_id for request in stand_in.requests}
    return [
        Exchange(
            sent_method=line["method"],
            sent_path=line["path"],
            sent_headers=tuple((name, value) for name, value in line["headers"]),
            sent=base64.b64decode(line["body"]),
            arrived=request,
        )
        for request in stand_in.requests
        for line in [sent[request.request_id]]
    ]


def messages_exchanges(found: list[Exchange]) -> list[Exchange]:
    """Those that ask for a message, not for a count of tokens."""
    return [exchange for exchange in found if exchange.arrived.path.partition("?")[0].endswith("/messages")]


def verify(found: list[Exchange]) -> None:
    """Check every law on every request, and prefix stability on every pair of turns of a conversation."""
    conversations: dict[tuple[str | None, ...], list[Exchange]] = defaultdict(list)
    for exchange in found:
        _verify_request_line_and_headers(exchange)
        _verify_results(exchange)
        _verify_restore(exchange)
    for exchange in messages_exchanges(found):
        conversations[exchange.conversation].append(exchange)
    for turns in conversations.values():
        _verify_prefixes(turns)


def _verify_request_line_and_headers(exchange: Exchange) -> None:
    assert (exchange.arrived.method, exchange.arrived.path) == (exchange.sent_method, exchange.sent_path)
    assert _without_length(exchange.arrived.headers) == _without_length(exchange.sent_headers)
    assert exchange.arrived.header("content-length") == str(len(exchange.arrived.body))


def _verify_results(exchange: Exchange) -> None:
    for result in exchange.results:
        if result.is_error:
            assert result.arrived == result.sent
        assert _REMINDER.findall(result.arrived) == _REMINDER.findall(result.sent)
        if result.arrived != result.sent:
            assert tokens.count(result.arrived) < tokens.count(result.sent)


def _verify_restore(exchange: Exchange) -> None:
    body = restore(exchange.arrived.body, WireFormat.ANTHROPIC_MESSAGES)
    back = Exchange(
        exchange.sent_method,
        exchange.sent_path,
        exchange.sent_headers,
        exchange.sent,
        _with_body(exchange.arrived, body),
    )
    for result in back.results:
        if {"\r", "\x1b"} & set(result.sent):
            assert as_shown(result.arrived) == as_shown(result.sent)
        else:
            assert result.arrived == result.sent


def _verify_prefixes(turns: list[Exchange]) -> None:
    for earlier, later in pairwise(turns):
        assert len(later.sent_messages) >= len(earlier.sent_messages)
        arrived = zip(
            _unmarked(earlier.arrived.json["messages"]), _unmarked(later.arrived.json["messages"]), strict=False
        )
        sent = zip(_unmarked(earlier.sent_messages), _unmarked(later.sent_messages), strict=False)
        for number, ((sent_before, sent_after), (before, after)) in enumerate(zip(sent, arrived, strict=True)):
            # The client itself turns a user's text into a plain string once it is not the last message any more.
            if sent_before == sent_after or sent_before["role"] != "user":
                assert before == after, f"message {number} changed between two turns"


def _result_texts(messages: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], str, bool]]:
    for message in messages:
        for block in message["content"] if isinstance(message["content"], list) else ():
            if block["type"] != "tool_result":
                continue
            error = bool(block.get("is_error"))
            if isinstance(block.get("content"), str):
                yield block, "content", error
            else:
                yield from ((part, "text", error) for part in block.get("content", ()) if part["type"] == "text")


def _with_body(request: Request, body: bytes) -> Request:
    return type(request)(request.number, request.method, request.path, request.headers, body, request.at)


def _without_length(headers: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() != "content-length"]


def _unmarked(value: Any) -> Any:
    """Without `cache_control`, which moves to the newest message every turn."""
    if isinstance(value, dict):
        return {key: _unmarked(entry) for key, entry in value.items() if key != "cache_control"}
    return [_unmarked(entry) for entry in value] if isinstance(value, list) else value


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

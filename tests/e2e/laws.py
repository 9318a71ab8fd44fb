"""The laws of docs/architecture.md, checked on what a client sent and what arrived without the engine's parser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from compression_engine import Engine, WireFormat, restore, tokens
from demo.report import as_shown
from demo.stand_in import Request, StandIn

__all__ = ["STUB", "Exchange", "Result", "asked_path", "exchanges", "messages_exchanges", "verify", "verify_prefixes"]

STUB = re.compile(r"\[set aside (\d{6}): [^\[\]\n]*\. Full output saved to: (\.foundry-compress/([0-9a-f]{32})\.txt)\]")
"""The line that stands for a result: its code, the path that brings the result back, and the key in it."""

_ASKED = re.compile(r"\.foundry-compress[\\/][0-9a-f]{32}\.txt")
_WASTED = ("Wasted call", "File unchanged")
_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>", re.DOTALL)
_JSON_STRING = r'"(?:[^"\\]|\\.)*"'
_MARK = "here stands the text of a tool result"
_FLAG = "here stands whether it is an error"
# What asks for a message ends so: on Foundry and Anthropic's own API, on Bedrock, on Vertex AI.
_ASKS = ("/messages", "/invoke", "/invoke-with-response-stream", ":streamRawPredict")


@dataclass(frozen=True)
class Result:
    """The text of one tool result (of one text block, where there are several) as sent and as arrived.

    `call` is the tool call that it answers, `whole` all that the result says as sent.
    """

    sent: str
    arrived: str
    is_error: bool
    arrived_is_error: bool
    call: dict[str, Any]
    whole: str

    @property
    def key(self) -> str:
        """What a line that stands for this result names it by."""
        return hashlib.sha256(f"{self.call['id']}\0{self.whole}".encode()).hexdigest()[:32]

    @property
    def stub(self) -> re.Match[str] | None:
        """The line that stands for it, where it is set aside."""
        found = STUB.search(self.arrived)
        return None if found is None or self.sent == self.arrived else found

    @property
    def asks_back(self) -> bool:
        """Whether the client's answer is one in whose place something set aside may stand."""
        return asked_path(self.call) is not None or (self.call["name"] == "Read" and self.sent.startswith(_WASTED))

    @property
    def is_recalled(self) -> bool:
        """Whether something that was set aside stands in the place of the client's answer."""
        return self.asks_back and self.sent != self.arrived and self.stub is None


@dataclass(frozen=True)
class Exchange:
    """One request: as the client sent it, and as the stand-in got it.

    `sent_at` is a moment before the proxy took it up, in seconds of the clock that `arrived.at` goes by.
    """

    sent_method: str
    sent_path: str
    sent_headers: tuple[tuple[str, str], ...]
    sent: bytes
    arrived: Request
    sent_at: float

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
        """Every tool result's text, by fitting the arrived bytes to the client's with what may change left open.

        That is those texts, and whether a result is an error where it was one. Fails if any other byte differs.
        """
        body = json.loads(self.sent)
        assert _json(body) == self.sent, "the client no longer writes the JSON that this check relies on"
        before = list(_result_texts(self.sent_messages))
        for block, holder, key in _result_texts(body["messages"]):
            holder[key] = _MARK
            if block.get("is_error"):
                block["is_error"] = _FLAG
        open_places = {json.dumps(_MARK): f"({_JSON_STRING})", json.dumps(_FLAG): "(true|false)"}
        fixed = re.split("|".join(f"({mark})" for mark in open_places), _json(body).decode())
        pattern = "".join(open_places.get(piece) or re.escape(piece) for piece in fixed if piece is not None)
        fits = re.fullmatch(pattern, self.arrived.body.decode())
        assert fits, "bytes outside the texts of tool results arrived changed"
        after = list(_result_texts(self.arrived.json["messages"]))
        calls = {use["id"]: use for use in _blocks(self.sent_messages, "tool_use")}
        return [
            Result(
                sent=holder[key],
                arrived=arrived_holder[key],
                is_error=bool(block.get("is_error")),
                arrived_is_error=bool(arrived_block.get("is_error")),
                call=calls.get(block["tool_use_id"], {"id": block["tool_use_id"], "name": "", "input": {}}),
                whole=_whole(block),
            )
            for (block, holder, key), (arrived_block, arrived_holder, _) in zip(before, after, strict=True)
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
            arrived=replace(request, at=request.at + line["ahead"]),
            sent_at=line["at"] + line["ahead"],
        )
        for request in stand_in.requests
        for line in [sent[request.request_id]]
    ]


def messages_exchanges(found: list[Exchange]) -> list[Exchange]:
    """Those that ask for a message, not for a count of tokens."""
    return [exchange for exchange in found if exchange.arrived.path.partition("?")[0].endswith(_ASKS)]


def asked_path(call: dict[str, Any]) -> str | None:
    """The path of something set aside that a tool call names, if it does."""
    found = _ASKED.search(str(call["input"].get("file_path") or call["input"].get("command") or ""))
    return found[0].replace("\\", "/") if found else None


def verify(found: list[Exchange], lifetime: float | None = None) -> None:
    """Check every law on every request, and prefix stability on every pair of turns of a conversation.

    `lifetime` of the prompt cache in seconds: turns that are further apart may differ. None: no turns may.
    """
    conversations: dict[tuple[str | None, ...], list[Exchange]] = defaultdict(list)
    for exchange in found:
        _verify_request_line_and_headers(exchange)
        _verify_results(exchange)
        _verify_restore(exchange)
        _verify_recall(exchange)
    for exchange in messages_exchanges(found):
        conversations[exchange.conversation].append(exchange)
    for turns in conversations.values():
        verify_prefixes(turns, lifetime)


def _verify_request_line_and_headers(exchange: Exchange) -> None:
    assert (exchange.arrived.method, exchange.arrived.path) == (exchange.sent_method, exchange.sent_path)
    assert _without_length(exchange.arrived.headers) == _without_length(exchange.sent_headers)
    assert exchange.arrived.header("content-length") == str(len(exchange.arrived.body))


def _verify_results(exchange: Exchange) -> None:
    for result in exchange.results:
        kept = _REMINDER.findall(result.arrived)
        if result.asks_back and result.arrived != result.sent:
            # What is recalled may have reminders of its own; it is no error, set aside again or not.
            assert set(_REMINDER.findall(result.sent)) <= set(kept)
            assert not result.arrived_is_error
            continue
        assert kept == _REMINDER.findall(result.sent)
        assert result.arrived_is_error is result.is_error
        if result.is_error:
            assert result.arrived == result.sent
        if result.arrived != result.sent:
            assert tokens.count(result.arrived) < tokens.count(result.sent)


def _verify_restore(exchange: Exchange) -> None:
    """All that is neither set aside nor recalled comes back from the arrived body alone."""
    body = restore(exchange.arrived.body, WireFormat.ANTHROPIC_MESSAGES)
    back = Exchange(
        exchange.sent_method,
        exchange.sent_path,
        exchange.sent_headers,
        exchange.sent,
        _with_body(exchange.arrived, body),
        exchange.sent_at,
    )
    for arrived, result in zip(exchange.results, back.results, strict=True):
        if arrived.stub is not None or arrived.is_recalled:
            continue
        if {"\r", "\x1b"} & set(result.sent):
            assert as_shown(result.arrived) == as_shown(result.sent)
        else:
            assert result.arrived == result.sent


def _verify_recall(exchange: Exchange) -> None:
    """What is set aside can be brought back, and what was brought back is the original."""
    originals: dict[str, Result] = {}
    stubs: dict[str, Result] = {}
    for result in exchange.results:
        asked = asked_path(result.call)
        if result.is_recalled:
            _verify_recalled(result, originals)
        if (stub := result.stub) is not None:
            path, key = stub[2], stub[3]
            stubs[path] = result
            if not result.asks_back:
                assert key == result.key, "a line stands for another result"
            elif asked is not None:
                assert asked == path, "a line stands for something else than what was recalled"
            assert key in originals or key == result.key
        originals[result.key] = result
    if stubs:
        for (path, result), back in zip(stubs.items(), _read_back(exchange, list(stubs)), strict=True):
            original = originals[path.removesuffix(".txt").rpartition("/")[2]]
            assert back == original.whole, f"{result.stub} does not bring its original back"


def _verify_recalled(result: Result, originals: dict[str, Result]) -> None:
    """`originals` are the results before it, in order, by their keys."""
    said = _without_reminders(result.arrived)
    asked = asked_path(result.call)
    if asked is None:
        same = [one for one in originals.values() if _shows_the_same(one, result) and not one.asks_back]
        assert said == _without_reminders(same[-1].whole)
        return
    original = originals[asked.removesuffix(".txt").rpartition("/")[2]]
    if result.call["name"] == "Read":
        first, count = result.call["input"].get("offset") or 1, result.call["input"].get("limit")
        lines = original.whole.split("\n")[first - 1 :]
        assert said == _without_reminders("\n".join(lines[:count] if count else lines))
    else:
        assert said in _without_reminders(original.whole)


def _shows_the_same(one: Result, read: Result) -> bool:
    """Whether `one` is what a Read of the same part shows, or a command's output that the client takes for it."""
    if one.call["name"] == "Bash":
        return str(read.call["input"]["file_path"]) in one.call["input"]["command"]
    return (one.call["name"], one.call["input"]) == (read.call["name"], read.call["input"])


def _read_back(exchange: Exchange, paths: list[str]) -> list[str]:
    """What the model gets that reads `paths` next: the engine's answer, to a body that the client would send."""
    body = json.loads(exchange.sent)
    uses = [
        {"type": "tool_use", "id": f"toolu_check_{number}", "name": "Read", "input": {"file_path": path}}
        for number, path in enumerate(paths)
    ]
    answers = [
        {
            "tool_use_id": use["id"],
            "type": "tool_result",
            "content": "File does not exist. Note: your current working directory is /made-up.",
            "is_error": True,
        }
        for use in uses
    ]
    body["messages"] += [{"role": "assistant", "content": uses}, {"role": "user", "content": answers}]
    rewritten = json.loads(Engine().rewrite(_json(body), WireFormat.ANTHROPIC_MESSAGES).body)
    return [block["content"] for block in rewritten["messages"][-1]["content"]]


def verify_prefixes(turns: list[Exchange], lifetime: float | None = None) -> None:
    """Check that each of these requests, which build upon one another, arrived with the beginning of the one before.

    Where the proxy may have seen more than `lifetime` between them, whatever held them up, that is a pause.
    """
    for earlier, later in pairwise(turns):
        assert len(later.sent_messages) >= len(earlier.sent_messages)
        if lifetime is not None and later.arrived.at - earlier.sent_at > lifetime:
            continue
        arrived = zip(
            _unmarked(earlier.arrived.json["messages"]), _unmarked(later.arrived.json["messages"]), strict=False
        )
        sent = zip(_unmarked(earlier.sent_messages), _unmarked(later.sent_messages), strict=False)
        for number, ((sent_before, sent_after), (before, after)) in enumerate(zip(sent, arrived, strict=True)):
            # The client itself turns a text into a plain string once it is not the last message any more.
            if sent_before == sent_after or sent_before["role"] == "assistant":
                assert before == after, f"message {number} changed between two turns"


def _blocks(messages: list[dict[str, Any]], kind: str) -> Iterator[dict[str, Any]]:
    for message in messages:
        if isinstance(message["content"], list):
            yield from (block for block in message["content"] if block["type"] == kind)


def _result_texts(messages: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any], str]]:
    """Each text of each tool result: the result, what holds the text, and under which name."""
    for block in _blocks(messages, "tool_result"):
        if isinstance(block.get("content"), str):
            yield block, block, "content"
        else:
            yield from ((block, part, "text") for part in block.get("content", ()) if part["type"] == "text")


def _whole(block: dict[str, Any]) -> str:
    return "\n".join(holder[key] for _, holder, key in _result_texts([{"content": [block]}]))


def _without_reminders(text: str) -> str:
    return _REMINDER.sub("", text).strip()


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

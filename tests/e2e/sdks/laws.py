"""What must hold for the requests of any client, checked without the engine's own parser of their bodies."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise, product
from typing import Any

from compression_engine import WireFormat, restore, tokens
from demo.report import as_shown
from demo.stand_in import Request
from tests.e2e.laws import Exchange

__all__ = ["conversations", "format_of", "results", "same_request", "verify", "verify_prefixes"]

# What azure-core makes up for each request.
_MADE_UP = {"x-ms-client-request-id"}


def format_of(path: str) -> WireFormat:
    """The wire format of what is posted to `path`."""
    name = path.partition("?")[0].rpartition("/")[2]
    return {"completions": WireFormat.CHAT_COMPLETIONS, "responses": WireFormat.RESPONSES}.get(
        name, WireFormat.ANTHROPIC_MESSAGES
    )


def same_request(one: Request, other: Exchange) -> None:
    """Check that two runs of a program sent the same, down to the order of headers."""
    assert (one.method, one.path) == (other.sent_method, other.sent_path)
    assert _comparable(one.headers) == _comparable(other.sent_headers)
    assert one.body == other.sent


def verify(exchange: Exchange, *, all_in_view: bool = True) -> None:
    """Check that a request arrived as it was sent, but for texts of tool results, which come back from what arrived.

    They do not all come back, or are not all shorter, where something is set aside or recalled: not `all_in_view`.
    """
    arrived = exchange.arrived
    assert (arrived.method, arrived.path) == (exchange.sent_method, exchange.sent_path)
    assert _without_length(arrived.headers) == _without_length(exchange.sent_headers)
    assert arrived.header("content-length") == str(len(arrived.body))
    sent = json.loads(exchange.sent)
    changed = [
        (before, after)
        for before, after in zip(results(sent), results(json.loads(arrived.body)), strict=True)
        if before != after
    ]
    assert _masked(exchange.sent, [before for before, _ in changed]) == _masked(
        arrived.body, [after for _, after in changed]
    )
    if all_in_view:
        assert all(tokens.count(after) < tokens.count(before) for before, after in changed)
        _verify_restore(exchange, sent)


def _verify_restore(exchange: Exchange, sent: dict[str, Any]) -> None:
    back = restore(exchange.arrived.body, format_of(exchange.arrived.path))
    if any({"\r", "\x1b"} & set(text) for text in results(sent)):
        for before, after in zip(results(sent), results(json.loads(back)), strict=True):
            assert after == before or as_shown(after) == as_shown(before)
    else:
        # Where a client escapes what it need not, results come back without.
        assert back == exchange.sent or (json.loads(back) == sent and b"\\u" in exchange.sent)


def conversations(found: Iterable[Exchange]) -> dict[str, list[Exchange]]:
    """The requests of each conversation, by what the user said first, of a program that has one after the other."""
    by_question: dict[str, list[Exchange]] = defaultdict(list)
    question = ""
    for exchange in found:
        body = json.loads(exchange.sent)
        if "previous_response_id" not in body:
            said = next(entry for entry in _entries(body) if entry.get("role") == "user")
            question = json.dumps(said["content"])
        by_question[question].append(exchange)
    return by_question


def verify_prefixes(turns: Iterable[Exchange]) -> None:
    """Check that each of these requests of one conversation arrived with the beginning of the one before.

    Those that build upon a response that the service keeps have nothing of it.
    """
    bodies = [exchange.arrived.json for exchange in turns]
    for earlier, later in pairwise(_entries(body) for body in bodies if "previous_response_id" not in body):
        if len(later) >= len(earlier):
            assert later[: len(earlier)] == earlier


def results(body: dict[str, Any]) -> Iterator[str]:
    """The text of each tool result."""
    if "messages" not in body:
        yield from (item["output"] for item in _entries(body) if item.get("type") == "function_call_output")
        return
    for message in body["messages"]:
        if message["role"] == "tool":
            yield message["content"]
        elif isinstance(message.get("content"), list):
            yield from (block["content"] for block in message["content"] if block["type"] == "tool_result")


def _entries(body: dict[str, Any]) -> list[Any]:
    entries: list[Any] | str = body["messages"] if "messages" in body else body["input"]
    return entries if isinstance(entries, list) else [{"role": "user", "content": entries}]


def _masked(body: bytes, texts: Iterable[str]) -> bytes:
    """`body` with a mark for each of `texts`, however it is spelled in JSON."""
    for text, escaped in product(texts, (False, True)):
        body = body.replace(json.dumps(text, ensure_ascii=escaped).encode(), b"here stands the text of a tool result")
    return body


def _comparable(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, "" if name.lower() in _MADE_UP else value) for name, value in headers]


def _without_length(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, "" if name.lower() == "content-length" else value) for name, value in headers]

"""Sessions in the formats of OpenAI: what a client that speaks them would send of a session of Claude Code."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from compression_engine import WireFormat
from tests.compression_engine.bodies import Json, dump

CHAT, RESPONSES = WireFormat.CHAT_COMPLETIONS, WireFormat.RESPONSES


def body_in(
    wire_format: WireFormat, messages: Sequence[Json], tools: Sequence[str] = ("Bash",), **fields: Json
) -> bytes:
    """The body for `messages`, which are Claude Code's; a result that fails has no mark."""
    if wire_format is CHAT:
        described = [{"type": "function", "function": {"name": name}} for name in tools]
        return dump({"model": "gpt", "messages": [*in_chat(messages)], "tools": described, **fields})
    described = [{"type": "function", "name": name} for name in tools]
    return dump(
        {"model": "gpt", "instructions": "Be brief.", "input": [*in_items(messages)], "tools": described, **fields}
    )


def in_chat(messages: Sequence[Json]) -> Iterator[Json]:
    """Messages of Chat Completions."""
    yield {"role": "system", "content": "Be brief."}
    for message in messages:
        role, blocks = message["role"], _blocks(message)
        for block in blocks:
            if block["type"] == "tool_result":
                yield {"role": "tool", "tool_call_id": block["tool_use_id"], "content": _content(block, "text")}
        texts = [block["text"] for block in blocks if block["type"] == "text"]
        calls = [
            {
                "id": block["id"],
                "type": "function",
                "function": {"name": block["name"], "arguments": json.dumps(block["input"])},
            }
            for block in blocks
            if block["type"] == "tool_use"
        ]
        if calls:
            yield {"role": role, "content": None, "tool_calls": calls}
        elif texts:
            yield {"role": role, "content": texts[0]}


def in_items(messages: Sequence[Json]) -> Iterator[Json]:
    """Items of Responses."""
    for message in messages:
        for block in _blocks(message):
            match block["type"]:
                case "thinking":
                    yield {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "x"}
                case "tool_use":
                    arguments = json.dumps(block["input"])
                    yield {
                        "type": "function_call",
                        "call_id": block["id"],
                        "name": block["name"],
                        "arguments": arguments,
                    }
                case "tool_result":
                    yield {
                        "type": "function_call_output",
                        "call_id": block["tool_use_id"],
                        "output": _content(block, "input_text"),
                    }
                case _:
                    yield {"role": message["role"], "content": block["text"]}


def texts_in(wire_format: WireFormat, raw: bytes) -> list[str]:
    """The texts of all tool results."""
    parsed = json.loads(raw)
    if wire_format is CHAT:
        contents = [message["content"] for message in parsed["messages"] if message["role"] in ("tool", "function")]
    else:
        contents = [item["output"] for item in parsed["input"] if "output" in item]
    out: list[str] = []
    for content in contents:
        out += [content] if isinstance(content, str) else [part["text"] for part in content if "text" in part]
    return out


def _blocks(message: Json) -> list[Json]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _function(block: Json) -> Json:
    return {"name": block["name"], "arguments": json.dumps(block["input"])}


def _content(block: Json, kind: str) -> Json:
    content = block["content"]
    if isinstance(content, str):
        return content
    return [
        {"type": kind, "text": part["text"]} if part["type"] == "text" else {"type": "image_url"} for part in content
    ]

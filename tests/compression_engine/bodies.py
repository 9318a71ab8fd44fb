"""Request bodies as clients send them, made small."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

type Json = Any

READ = "Read"
BASH = "Bash"


def call(tool_use_id: str, name: str, **inputs: Json) -> Json:
    return {"role": "assistant", "content": [{"type": "tool_use", "id": tool_use_id, "name": name, "input": inputs}]}


def result(tool_use_id: str, content: Json, **fields: Json) -> Json:
    block = {"tool_use_id": tool_use_id, "type": "tool_result", "content": content, **fields}
    return {"role": "user", "content": [block]}


def turns(*results: tuple[str, Json, str]) -> list[Json]:
    """One call and its result for every (tool name, inputs, text)."""
    messages: list[Json] = [{"role": "user", "content": "Please look into it."}]
    for count, (name, inputs, text) in enumerate(results):
        messages += [call(f"toolu_{count}", name, **inputs), result(f"toolu_{count}", text)]
    return messages


def body(messages: Sequence[Json], *, mark_last: bool = True, **fields: Json) -> bytes:
    """As Claude Code writes it: compact, unescaped, `cache_control` on the last block of the last message."""
    messages = list(messages)
    if mark_last and messages:
        last = dict(messages[-1])
        content = last["content"]
        blocks: list[Json] = [{"type": "text", "text": content}] if isinstance(content, str) else [*content]
        blocks[-1] = {**blocks[-1], "cache_control": {"type": "ephemeral"}}
        messages[-1] = {**last, "content": blocks}
    whole = {"model": "m", "messages": messages, "system": [{"type": "text", "text": "Be brief."}], **fields}
    return dump(whole)


def dump(value: Json) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def texts(raw: bytes) -> list[str]:
    """The texts of all tool results."""
    out = []
    for message in json.loads(raw)["messages"]:
        for block in message["content"] if isinstance(message["content"], list) else []:
            if block["type"] == "tool_result":
                content = block["content"]
                out += [content] if isinstance(content, str) else [part["text"] for part in content if "text" in part]
    return out


def without_marks(message: Json) -> Json:
    """A message apart from `cache_control`, a text in list form, as the service compares prefixes."""
    content = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return {
        **message,
        "content": [{key: value for key, value in block.items() if key != "cache_control"} for block in blocks],
    }


def numbered(lines: Sequence[str], first: int = 1, mark: str = "\t", width: int = 0) -> str:
    return "\n".join(f"{number:>{width}}{mark}{line}" for number, line in enumerate(lines, first))


def source_lines(count: int, name: str = "value") -> list[str]:
    """Lines of code, no two alike."""
    return [f"    {name}_{at} = compute_something({at}, scale={at * 7 % 13})" for at in range(count)]

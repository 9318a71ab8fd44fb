"""What Chat Completions and Responses answer, whole and as streams, in the shapes that OpenAI's SDKs decode."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from demo.answers import Answer, ToolUse

__all__ = ["chat_chunks", "chat_completion", "response", "response_events"]

_MADE_AT = 1767225600  # the same every time, so that answers can be compared
_PIECE = 12  # characters


def chat_completion(answer: Answer, model: str, identity: str) -> dict[str, Any]:
    """Make the whole answer of Chat Completions; ids come from `identity`."""
    calls = [
        {"id": f"call_{identity}_{number}", "type": "function", "function": _function(block)}
        for number, block in enumerate(_tool_uses(answer))
    ]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": _text(answer) or None,
        "refusal": None,
        "annotations": [],
    }
    return {
        "id": f"chatcmpl-{identity}",
        "object": "chat.completion",
        "created": _MADE_AT,
        "model": model,
        "system_fingerprint": "fp_made_up",
        "choices": [
            {
                "index": 0,
                "message": message | ({"tool_calls": calls} if calls else {}),
                "finish_reason": "tool_calls" if calls else "stop",
                "logprobs": None,
                "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}},
            }
        ],
        "usage": {
            "prompt_tokens": 1200,
            "completion_tokens": 30,
            "total_tokens": 1230,
            "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
    }


def chat_chunks(whole: dict[str, Any], *, with_usage: bool) -> Iterator[bytes]:
    """Yield a whole answer of Chat Completions as a stream, ended by `[DONE]`.

    `with_usage` adds the chunk that clients ask for with `stream_options`.
    """
    (choice,) = whole["choices"]
    message = choice["message"]
    frame = {key: whole[key] for key in ("id", "created", "model", "system_fingerprint")}
    frame["object"] = "chat.completion.chunk"
    usage: dict[str, Any] = {"usage": None} if with_usage else {}

    def chunk(delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        return _data(frame | {"choices": [choice]} | usage)

    # Azure's first chunk says what its filter made of the prompt and has no choice.
    yield _data(frame | {"choices": [], "prompt_filter_results": []} | usage)
    yield chunk({"role": "assistant", "content": None if message["content"] is None else ""})
    for piece in _pieces(message["content"] or ""):
        yield chunk({"content": piece})
    for number, call in enumerate(message.get("tool_calls", ())):
        function = call["function"]
        yield chunk({"tool_calls": [{"index": number} | call | {"function": function | {"arguments": ""}}]})
        for piece in _pieces(function["arguments"]):
            yield chunk({"tool_calls": [{"index": number, "function": {"arguments": piece}}]})
    yield chunk({}, choice["finish_reason"])
    if with_usage:
        yield _data(frame | {"choices": [], "usage": whole["usage"]})
    yield b"data: [DONE]\n\n"


def response(answer: Answer, body: dict[str, Any], identity: str) -> dict[str, Any]:
    """Make the whole answer of Responses to the request `body`; ids come from `identity`."""
    output: list[dict[str, Any]] = []
    for number, block in enumerate(answer.blocks):
        if isinstance(block, str):
            content = [{"type": "output_text", "text": block, "annotations": [], "logprobs": []}]
            item = {"id": f"msg_{identity}_{number}", "type": "message", "role": "assistant", "content": content}
        else:
            item = {"id": f"fc_{identity}_{number}", "type": "function_call", "call_id": f"call_{identity}_{number}"}
            item |= _function(block)
        output.append(item | {"status": "completed"})
    return {
        "id": f"resp_{identity}",
        "object": "response",
        "created_at": _MADE_AT,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "metadata": {},
        "model": body["model"],
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": body.get("previous_response_id"),
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": body.get("tools", []),
        "top_p": 1.0,
        "usage": {
            "input_tokens": 1200,
            "input_tokens_details": {"cached_tokens": 1024},
            "output_tokens": 30,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 1230,
        },
    }


def response_events(whole: dict[str, Any]) -> Iterator[bytes]:
    """Yield a whole answer of Responses as a stream."""
    for number, event in enumerate(_response_events(whole)):
        yield b"event: %s\ndata: %s\n\n" % (event["type"].encode(), _json(event | {"sequence_number": number}))


def _response_events(whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    begun = whole | {"status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(whole["output"]):
        at = {"item_id": item["id"], "output_index": index}
        emptied: dict[str, Any] = {"content": []} if "content" in item else {"arguments": ""}
        opened = item | {"status": "in_progress"} | emptied
        yield {"type": "response.output_item.added", "output_index": index, "item": opened}
        if "content" in item:
            (part,) = item["content"]
            at["content_index"] = 0
            yield {"type": "response.content_part.added", "part": part | {"text": ""}} | at
            for piece in _pieces(part["text"]):
                yield {"type": "response.output_text.delta", "delta": piece, "logprobs": []} | at
            yield {"type": "response.output_text.done", "text": part["text"], "logprobs": []} | at
            yield {"type": "response.content_part.done", "part": part} | at
        else:
            for piece in _pieces(item["arguments"]):
                yield {"type": "response.function_call_arguments.delta", "delta": piece} | at
            done = {"type": "response.function_call_arguments.done", "arguments": item["arguments"]}
            yield done | {"name": item["name"]} | at
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": "response.completed", "response": whole}


def _text(answer: Answer) -> str:
    return "".join(block for block in answer.blocks if isinstance(block, str))


def _tool_uses(answer: Answer) -> list[ToolUse]:
    return [block for block in answer.blocks if isinstance(block, ToolUse)]


def _function(call: ToolUse) -> dict[str, str]:
    return {"name": call.name, "arguments": json.dumps(call.input)}


def _pieces(text: str) -> list[str]:
    return [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]


def _data(value: dict[str, Any]) -> bytes:
    return b"data: %s\n\n" % _json(value)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

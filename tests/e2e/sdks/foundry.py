"""The stand-in for Foundry with every path that the SDKs ask, and with answers that depend on nothing but the turn.

So a conversation is answered the same whether its requests were rewritten on their way or not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from demo.answers import Answer, Refusal, not_found
from demo.stand_in import Request, StandIn
from tests.e2e.sdks import openai_answers

__all__ = ["Foundry", "turn"]

_LAST_WORD = Answer(("Done.",))


class Foundry(StandIn):
    """Answers turn after turn of each conversation with what `script` says; conversations differ in their first text.

    What is said may depend on the request. One that asks for a model named `missing` is refused.
    """

    def __init__(self, script: Sequence[Answer | Callable[[Request], Answer]]) -> None:
        super().__init__(self._answer)
        self._said = script

    def reply(self, answer: Answer, request: Request) -> dict[str, Any]:
        """As a stand-in's, with ids and usage that do not depend on how long the request is."""
        reply = super().reply(answer, request)
        identity = _identity(request.json, self._turn(request))
        for number, block in enumerate(reply["content"]):
            if block["type"] == "tool_use":
                block["id"] = f"toolu_{identity}_{number}"
        usage = {"input_tokens": 1200, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
        return reply | {"id": f"msg_{identity}", "usage": usage | {"output_tokens": 30}}

    def elsewhere(self, request: Request) -> Refusal | dict[str, Any] | Iterable[bytes]:
        """Answer Chat Completions and Responses."""
        path = request.path.partition("?")[0]
        chat = path.endswith("/chat/completions")
        if not chat and not path.endswith("/responses"):
            return not_found()
        body = request.json
        answer = self._answer(request)
        if isinstance(answer, Refusal):
            return answer
        identity = _identity(body, self._turn(request))
        if chat:
            whole = openai_answers.chat_completion(answer, body.get("model", ""), identity)
            with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
            return openai_answers.chat_chunks(whole, with_usage=with_usage) if body.get("stream") else whole
        whole = openai_answers.response(answer, body, identity)
        return openai_answers.response_events(whole) if body.get("stream") else whole

    def _answer(self, request: Request) -> Answer | Refusal:
        if request.json.get("model") == "missing":
            error = {"code": "DeploymentNotFound", "message": "The API deployment for this resource does not exist."}
            return Refusal(404, json.dumps({"error": error}).encode())
        due = self._turn(request)
        said = self._said[due] if due < len(self._said) else _LAST_WORD
        return said if isinstance(said, Answer) else said(request)

    def _turn(self, request: Request) -> int:
        return turn(request.json)


def turn(body: dict[str, Any]) -> int:
    """How many answers the conversation in a body of any wire format holds, or that it builds upon."""
    if "messages" in body:
        return sum(message["role"] == "assistant" for message in body["messages"])
    before = body.get("previous_response_id")
    if before is not None:
        return int(str(before).rpartition("_")[2]) + 1
    items = body["input"] if isinstance(body["input"], list) else []
    answers = [item.get("type") == "function_call" or item.get("role") == "assistant" for item in items]
    return sum(here and not before for before, here in zip([False, *answers], answers, strict=False))


def _identity(body: dict[str, Any], number: int) -> str:
    """Different for each turn of each conversation, and with the turn's number at its end."""
    before = body.get("previous_response_id")
    if before is not None:
        name = str(before).removeprefix("resp_").partition("_")[0]
    else:
        first = body["messages"] if "messages" in body else body["input"]
        text = json.dumps(next((m for m in first if m["role"] == "user"), "")) if isinstance(first, list) else first
        name = hashlib.sha256(text.encode()).hexdigest()[:12]
    return f"{name}_{number}"

"""Conversations through the SDK `anthropic`, AnthropicFoundry and AsyncAnthropicFoundry; prints what they decoded.

Run as a module in the SDKs' environment, from the project's folder.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from itertools import product
from typing import Any

from anthropic import AnthropicFoundry, APIStatusError, AsyncAnthropicFoundry

from tests.e2e.sdks.tools import INSTRUCTIONS, PARAMETERS, question, run

RESOURCE = "my-resource"
# The SDK waits 5 s for a hand to be shaken, and then says in a header that it tries again.
PATIENT = {"timeout": 300.0}
CREDENTIALS: dict[str, dict[str, Any]] = {
    "key": {"api_key": "made-up-key"},
    "bearer": {"azure_ad_token_provider": lambda: "made-up-token"},
}


class Conversation:
    """What is asked next, and what was decoded so far."""

    def __init__(self, variant: str) -> None:
        self.decoded: list[Any] = []
        self.ended = False
        self.ask: dict[str, Any] = {
            "model": "my-claude",
            "max_tokens": 1000,
            "system": INSTRUCTIONS,
            "tools": [{"name": name, "input_schema": schema} for name, schema in PARAMETERS.items()],
            "messages": [{"role": "user", "content": question(variant)}],
        }

    def take(self, answer: Any) -> None:
        """Go on from an answer: run the tools that it calls."""
        self.decoded.append(answer.model_dump(mode="json"))
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": run(block.name, block.input)}
            for block in answer.content
            if block.type == "tool_use"
        ]
        self.ask["messages"] += [{"role": "assistant", "content": answer.content}, {"role": "user", "content": results}]
        self.ended = not results

    @property
    def counted(self) -> dict[str, Any]:
        """What a count of tokens is asked for with."""
        return {name: self.ask[name] for name in ("model", "messages", "system", "tools")}


def refused(error: APIStatusError) -> dict[str, Any]:
    return {"error": type(error).__name__, "status": error.status_code, "body": error.body}


def talk(client: AnthropicFoundry, conversation: Conversation, *, stream: bool) -> None:
    conversation.decoded.append(client.messages.count_tokens(**conversation.counted).model_dump(mode="json"))
    while not conversation.ended:
        if stream:
            with client.messages.stream(**conversation.ask) as events:
                conversation.decoded.append([event.model_dump(mode="json") for event in events])
                conversation.take(events.get_final_message())
        else:
            conversation.take(client.messages.create(**conversation.ask))
    try:
        client.messages.create(**conversation.ask | {"model": "missing", "messages": conversation.ask["messages"][:1]})
    except APIStatusError as error:
        conversation.decoded.append(refused(error))


async def talk_async(client: AsyncAnthropicFoundry, conversation: Conversation, *, stream: bool) -> None:
    count = await client.messages.count_tokens(**conversation.counted)
    conversation.decoded.append(count.model_dump(mode="json"))
    while not conversation.ended:
        if stream:
            async with client.messages.stream(**conversation.ask) as events:
                conversation.decoded.append([event.model_dump(mode="json") async for event in events])
                conversation.take(await events.get_final_message())
        else:
            conversation.take(await client.messages.create(**conversation.ask))
    try:
        await client.messages.create(
            **conversation.ask | {"model": "missing", "messages": conversation.ask["messages"][:1]}
        )
    except APIStatusError as error:
        conversation.decoded.append(refused(error))
    await client.close()


def conversations() -> Iterator[tuple[str, Any]]:
    for kind, credential, form in product(("sync", "async"), CREDENTIALS, ("whole", "stream")):
        variant = f"{kind} {credential} {form}"
        conversation = Conversation(variant)
        if kind == "sync":
            with AnthropicFoundry(resource=RESOURCE, **PATIENT, **CREDENTIALS[credential]) as client:
                talk(client, conversation, stream=form == "stream")
        else:
            async_client = AsyncAnthropicFoundry(resource=RESOURCE, **PATIENT, **CREDENTIALS[credential])
            asyncio.run(talk_async(async_client, conversation, stream=form == "stream"))
        yield variant, conversation.decoded


if __name__ == "__main__":
    json.dump(dict(conversations()), sys.stdout)

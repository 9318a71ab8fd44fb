"""Conversations through the SDK `openai`, with its Azure clients and with the others at an Azure base URL.

The blocking clients have keys, the asynchronous ones tokens. Prints what they decoded. Run as a module in the SDKs'
environment, from the project's folder.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

from openai import APIStatusError, AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI

from tests.e2e.sdks.tools import INSTRUCTIONS, PARAMETERS, question, run

# The SDK waits 5 s for a hand to be shaken, and then says in a header that it tries again.
PATIENT = {"timeout": 300.0}
AZURE = {"azure_endpoint": "https://my-resource.openai.azure.com", "api_version": "2025-04-01-preview", **PATIENT}
V1 = {"base_url": "https://my-resource.openai.azure.com/openai/v1/", **PATIENT}
# The client at a base URL knows bearer tokens only, and sends a key as one.
CLIENTS: dict[str, tuple[type[Any], type[Any], dict[str, Any]]] = {
    "azure key": (AzureOpenAI, AsyncAzureOpenAI, AZURE | {"api_key": "made-up-key"}),
    "azure bearer": (AzureOpenAI, AsyncAzureOpenAI, AZURE | {"azure_ad_token": "made-up-token"}),
    "v1 key": (OpenAI, AsyncOpenAI, V1 | {"api_key": "made-up-key"}),
    "v1 bearer": (OpenAI, AsyncOpenAI, V1 | {"api_key": "made-up-token"}),
}


class Conversation:
    """What is asked next, and what was decoded so far."""

    def __init__(self, api: str, variant: str) -> None:
        self.decoded: list[Any] = []
        self.ended = False
        self.said: list[Any] = [{"role": "user", "content": question(variant)}]
        self._api = api
        functions = [{"name": name, "parameters": schema, "strict": True} for name, schema in PARAMETERS.items()]
        tools: list[dict[str, Any]]
        if api == "chat":
            self.said.insert(0, {"role": "system", "content": INSTRUCTIONS})
            tools = [{"type": "function", "function": function} for function in functions]
            self.ask: dict[str, Any] = {"model": "gpt-5", "messages": self.said, "tools": tools}
        else:
            tools = [{"type": "function"} | function for function in functions]
            self.ask = {"model": "gpt-5", "input": self.said, "tools": tools, "instructions": INSTRUCTIONS}
            self.ask |= {"store": api == "stored responses"}

    def take(self, answer: Any) -> None:
        """Go on from an answer: run the tools that it calls."""
        self.decoded.append(answer.model_dump(mode="json"))
        if self._api == "chat":
            self._take_message(answer.choices[0].message)
        else:
            self._take_response(answer)

    def _take_message(self, message: Any) -> None:
        calls = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.function.name, "arguments": call.function.arguments},
            }
            for call in message.tool_calls or ()
        ]
        self.ended = not calls
        self.said.append({"role": "assistant", "content": message.content, **({"tool_calls": calls} if calls else {})})
        self.said += [
            {"role": "tool", "tool_call_id": call["id"], "content": _result(**call["function"])} for call in calls
        ]

    def _take_response(self, response: Any) -> None:
        calls = [item for item in response.output if item.type == "function_call"]
        results = [
            {"type": "function_call_output", "call_id": call.call_id, "output": _result(call.name, call.arguments)}
            for call in calls
        ]
        self.ended = not results
        if self._api == "stored responses":
            self.ask |= {"previous_response_id": response.id, "input": results}
        else:
            self.said += [*response.output, *results]

    @property
    def asks_for_nothing(self) -> dict[str, Any]:
        """What is refused: a deployment that is not there."""
        key = "messages" if self._api == "chat" else "input"
        return {"model": "missing", key: [{"role": "user", "content": "?"}]}


def _result(name: str, arguments: str) -> str:
    return run(name, json.loads(arguments))


def refused(error: APIStatusError) -> dict[str, Any]:
    return {"error": type(error).__name__, "status": error.status_code, "body": error.body}


def talk(client: Any, conversation: Conversation, api: str, *, stream: bool) -> None:
    create: Callable[..., Any] = client.chat.completions.create if api == "chat" else client.responses.create
    while not conversation.ended:
        if not stream:
            conversation.take(create(**conversation.ask))
        elif api == "chat":
            with client.chat.completions.stream(**conversation.ask, stream_options={"include_usage": True}) as events:
                conversation.decoded.append([event.model_dump(mode="json") for event in events])
                conversation.take(events.get_final_completion())
        else:
            found = list(create(**conversation.ask, stream=True))
            conversation.decoded.append([event.model_dump(mode="json") for event in found])
            conversation.take(found[-1].response)
    try:
        create(**conversation.asks_for_nothing)
    except APIStatusError as error:
        conversation.decoded.append(refused(error))


async def talk_async(client: Any, conversation: Conversation, api: str, *, stream: bool) -> None:
    create: Callable[..., Any] = client.chat.completions.create if api == "chat" else client.responses.create
    while not conversation.ended:
        if not stream:
            conversation.take(await create(**conversation.ask))
        elif api == "chat":
            options = {"stream_options": {"include_usage": True}}
            async with client.chat.completions.stream(**conversation.ask, **options) as events:
                conversation.decoded.append([event.model_dump(mode="json") async for event in events])
                conversation.take(await events.get_final_completion())
        else:
            found = [event async for event in await create(**conversation.ask, stream=True)]
            conversation.decoded.append([event.model_dump(mode="json") for event in found])
            conversation.take(found[-1].response)
    try:
        await create(**conversation.asks_for_nothing)
    except APIStatusError as error:
        conversation.decoded.append(refused(error))
    await client.close()


def conversations() -> Iterator[tuple[str, Any]]:
    apis = ("chat", "responses", "stored responses")
    for name, api, form in product(CLIENTS, apis, ("whole", "stream")):
        variant = f"{name} {api} {form}"
        conversation = Conversation(api, variant)
        client, async_client, settings = CLIENTS[name]
        if name.endswith("key"):
            with client(**settings) as connected:
                talk(connected, conversation, api, stream=form == "stream")
        else:
            asyncio.run(talk_async(async_client(**settings), conversation, api, stream=form == "stream"))
        yield variant, conversation.decoded


if __name__ == "__main__":
    json.dump(dict(conversations()), sys.stdout)

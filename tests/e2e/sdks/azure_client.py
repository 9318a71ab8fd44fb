"""Conversations through the SDK `azure-ai-inference`, blocking and asynchronous; prints what they decoded.

Run as a module in the SDKs' environment, from the project's folder.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from itertools import product
from typing import Any

from azure.ai.inference import ChatCompletionsClient
from azure.ai.inference.aio import ChatCompletionsClient as AsyncChatCompletionsClient
from azure.ai.inference.models import (
    AssistantMessage,
    ChatCompletionsToolCall,
    ChatCompletionsToolDefinition,
    FunctionCall,
    FunctionDefinition,
    SystemMessage,
    ToolMessage,
    UserMessage,
)
from azure.core.credentials import AccessToken, AzureKeyCredential
from azure.core.exceptions import HttpResponseError

from tests.e2e.sdks.tools import INSTRUCTIONS, PARAMETERS, question, run

ENDPOINT = "https://my-resource.services.ai.azure.com/models"
SCOPES = ["https://cognitiveservices.azure.com/.default"]


class Token:
    """Stands for azure-identity."""

    def get_token(self, *_scopes: str, **_more: Any) -> AccessToken:
        return AccessToken("made-up-token", int(time.time()) + 3600)


class AsyncToken:
    """The same for the asynchronous client."""

    async def get_token(self, *_scopes: str, **_more: Any) -> AccessToken:
        return Token().get_token()

    async def close(self) -> None:
        """Nothing is open."""


class Conversation:
    """What is asked next, and what was decoded so far."""

    def __init__(self, variant: str) -> None:
        self.decoded: list[Any] = []
        self.ended = False
        tools = [
            ChatCompletionsToolDefinition(function=FunctionDefinition(name=name, parameters=schema))
            for name, schema in PARAMETERS.items()
        ]
        self.said: list[Any] = [SystemMessage(INSTRUCTIONS), UserMessage(question(variant))]
        self.ask: dict[str, Any] = {"model": "made-up-model", "messages": self.said, "tools": tools}

    def take(self, answer: Any) -> None:
        """Go on from a whole answer."""
        self.decoded.append(answer.as_dict())
        message = answer.choices[0].message
        self._go_on(message.content, list(message.tool_calls or ()))

    def take_stream(self, updates: list[Any]) -> None:
        """Go on from the updates of a stream: calls come in pieces, of which the first alone has an id."""
        self.decoded.append([update.as_dict() for update in updates])
        text = ""
        calls: list[Any] = []
        for delta in (choice.delta for update in updates for choice in update.choices or ()):
            text += delta.content or ""
            for piece in delta.tool_calls or ():
                if piece.id:
                    calls.append(
                        ChatCompletionsToolCall(
                            id=piece.id, function=FunctionCall(name=piece.function.name, arguments="")
                        )
                    )
                calls[-1].function.arguments += piece.function.arguments or ""
        self.decoded.append({"text": text, "calls": [call.as_dict() for call in calls]})
        self._go_on(text or None, calls)

    def _go_on(self, text: str | None, calls: list[Any]) -> None:
        self.ended = not calls
        self.said.append(AssistantMessage(content=text, tool_calls=calls or None))
        self.said += [
            ToolMessage(run(call.function.name, json.loads(call.function.arguments)), tool_call_id=call.id)
            for call in calls
        ]


def refused(error: HttpResponseError) -> dict[str, Any]:
    return {"error": type(error).__name__, "status": error.status_code, "code": error.error.code, "text": error.message}


def talk(client: ChatCompletionsClient, conversation: Conversation, *, stream: bool) -> None:
    while not conversation.ended:
        if stream:
            conversation.take_stream(list(client.complete(**conversation.ask, stream=True)))
        else:
            conversation.take(client.complete(**conversation.ask))
    try:
        client.complete(messages=[UserMessage("?")], model="missing")
    except HttpResponseError as error:
        conversation.decoded.append(refused(error))


async def talk_async(client: AsyncChatCompletionsClient, conversation: Conversation, *, stream: bool) -> None:
    async with client:
        while not conversation.ended:
            if stream:
                updates = await client.complete(**conversation.ask, stream=True)
                conversation.take_stream([update async for update in updates])
            else:
                conversation.take(await client.complete(**conversation.ask))
        try:
            await client.complete(messages=[UserMessage("?")], model="missing")
        except HttpResponseError as error:
            conversation.decoded.append(refused(error))


def conversations() -> Iterator[tuple[str, Any]]:
    for kind, credential, form in product(("sync", "async"), ("key", "bearer"), ("whole", "stream")):
        variant = f"{kind} {credential} {form}"
        conversation = Conversation(variant)
        key = AzureKeyCredential("made-up-key")
        if kind == "sync":
            with ChatCompletionsClient(
                ENDPOINT, key if credential == "key" else Token(), credential_scopes=SCOPES
            ) as client:
                talk(client, conversation, stream=form == "stream")
        else:
            async_client = AsyncChatCompletionsClient(
                ENDPOINT, key if credential == "key" else AsyncToken(), credential_scopes=SCOPES
            )
            asyncio.run(talk_async(async_client, conversation, stream=form == "stream"))
        yield variant, conversation.decoded


if __name__ == "__main__":
    json.dump(dict(conversations()), sys.stdout)

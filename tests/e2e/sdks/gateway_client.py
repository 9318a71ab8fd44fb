"""Conversations through a gateway that speaks Messages, Chat Completions and Responses; prints what was decoded.

Run as a module in the SDKs' environment, from the project's folder, with the gateway's address and key.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import product
from typing import Any

from anthropic import Anthropic
from openai import OpenAI

from tests.e2e.sdks import anthropic_client, openai_client

# What is asked for, of which of the gateway's models: a Claude for Chat Completions too, which the gateway translates.
ASKED = (("messages", "my-claude"), ("chat", "my-gpt"), ("chat", "my-claude"), ("responses", "my-gpt"))


def conversations(address: str, key: str) -> Iterator[tuple[str, Any]]:
    for (api, model), form in product(ASKED, ("whole", "stream")):
        variant, stream = f"{api} {model} {form}", form == "stream"
        if api == "messages":
            talk = anthropic_client.Conversation(variant)
            talk.ask["model"] = model
            with Anthropic(base_url=address, api_key=key) as client:
                anthropic_client.talk(client, talk, stream=stream)
            yield variant, talk.decoded
        else:
            conversation = openai_client.Conversation(api, variant)
            conversation.ask["model"] = model
            with OpenAI(base_url=f"{address}/v1", api_key=key) as openai:
                openai_client.talk(openai, conversation, api, stream=stream)
            yield variant, conversation.decoded


if __name__ == "__main__":
    json.dump(dict(conversations(*sys.argv[1:])), sys.stdout)

"""Conversations in each wire format that rest for a while and go on; prints what the last answers said.

Run as a module in the SDKs' environment, from the project's folder, with the file that says how far the proxy's clock
is ahead and the seconds to rest: by so many it is put forward. In each format one agent has a tool that reads files,
and one has not.
"""

from __future__ import annotations

import json
import sys
from itertools import product
from pathlib import Path
from typing import Any

from anthropic import AnthropicFoundry
from openai import AzureOpenAI

from tests.e2e.ahead import put_ahead
from tests.e2e.sdks import anthropic_client, openai_client

APIS = ("messages", "chat", "responses")
TOOLS = ("read_file", "run_command")


def begun(api: str, tools: str) -> Any:
    """A conversation that has a way to read files, or only `run_command`."""
    variant = f"{api} with {tools}"
    if api == "messages":
        conversation: Any = anthropic_client.Conversation(variant)
    else:
        conversation = openai_client.Conversation(api, variant)
    if tools == "run_command":
        conversation.ask["tools"] = [tool for tool in conversation.ask["tools"] if "read_file" not in json.dumps(tool)]
    return conversation


def talk(clients: dict[str, Any], api: str, conversation: Any) -> None:
    """Go on until an answer calls no tool."""
    conversation.ended = False
    while not conversation.ended:
        if api == "messages":
            conversation.take(clients["anthropic"].messages.create(**conversation.ask))
        elif api == "chat":
            conversation.take(clients["openai"].chat.completions.create(**conversation.ask))
        else:
            conversation.take(clients["openai"].responses.create(**conversation.ask))


def main(clock: Path, rest: float) -> dict[str, Any]:
    conversations = {(api, tools): begun(api, tools) for api, tools in product(APIS, TOOLS)}
    with (
        AnthropicFoundry(resource=anthropic_client.RESOURCE, api_key="made-up-key") as anthropic,
        AzureOpenAI(**openai_client.AZURE, api_key="made-up-key") as openai,
    ):
        clients = {"anthropic": anthropic, "openai": openai}
        for (api, _), conversation in conversations.items():
            talk(clients, api, conversation)
        put_ahead(clock, rest)
        for (api, _), conversation in conversations.items():
            question = {"role": "user", "content": "Go on."}
            if api == "messages":
                # What it said last has no results that would be sent.
                conversation.ask["messages"][-1] = question
            else:
                conversation.said.append(question)
            talk(clients, api, conversation)
    return {" ".join(key): conversation.decoded[-1] for key, conversation in conversations.items()}


if __name__ == "__main__":
    json.dump(main(Path(sys.argv[1]), float(sys.argv[2])), sys.stdout)

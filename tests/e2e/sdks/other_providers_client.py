"""A question through each client that the SDK `anthropic` has for other providers; prints what they decoded, as JSON.

The proxy and the certificate come from the environment. On standard input stands what is asked, without a model.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from anthropic import Anthropic, AnthropicBedrock, AnthropicVertex

ASK: dict[str, Any] = json.load(sys.stdin)
MODEL = "claude-sonnet-4-5-20250929"


def main() -> None:
    bedrock = AnthropicBedrock(api_key="made-up-key", aws_region="us-east-1")
    vertex = AnthropicVertex(access_token="made-up-token", region="us-east5", project_id="made-up")
    told = {"bedrock": bedrock.messages.create(model=f"us.anthropic.{MODEL}-v1:0", **ASK).to_dict()}
    for name, client, model in (
        ("vertex", vertex, "claude-sonnet-4-5@20250929"),
        ("anthropic", Anthropic(api_key="made-up-key"), MODEL),
    ):
        with client.messages.stream(model=model, **ASK) as stream:
            told[name] = stream.get_final_message().to_dict()
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()

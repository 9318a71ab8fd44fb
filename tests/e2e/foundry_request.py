"""A client in a few lines: one request to Foundry as the environment says, its status on standard output.

Run as a script, with the host as argument; HTTPS_PROXY and NODE_EXTRA_CA_CERTS are read as Claude Code reads them.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import sys
from urllib.parse import urlsplit

FILE = "\n".join(f"{number}\tvalue_{number} = compute(value_{number - 1}, {number})" for number in range(1, 200))


def body() -> bytes:
    """One tool result of which much can go."""
    use = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"file_path": "/x/a.py"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": FILE}
    messages = [
        {"role": "user", "content": "Look at a.py."},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result]},
    ]
    return json.dumps({"model": "m", "messages": messages, "max_tokens": 10}, separators=(",", ":")).encode()


def main(host: str, port: int) -> None:
    proxy = urlsplit(os.environ["HTTPS_PROXY"])
    context = ssl.create_default_context(cafile=os.environ["NODE_EXTRA_CA_CERTS"])
    connection = http.client.HTTPSConnection(str(proxy.hostname), proxy.port, context=context, timeout=60)
    connection.set_tunnel(host, port)
    headers = {"x-api-key": "made-up", "content-type": "application/json"}
    connection.request("POST", "/anthropic/v1/messages", body(), headers)
    sys.stdout.write(f"{connection.getresponse().status}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 443)

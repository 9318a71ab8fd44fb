"""A mitmproxy script that comes to the proxy as soon as it listens, from $EARLY_FROM, and notes what it answers.

It stands in front of the addon, which waits for it to end before it closes what mitmproxy has opened.
"""

import asyncio
import os
from pathlib import Path
from typing import Any

from mitmproxy import ctx


async def running() -> None:
    proxyserver: Any = ctx.master.addons.get("proxyserver")
    reader, writer = await asyncio.open_connection(os.environ["EARLY_FROM"], proxyserver.listen_addrs()[0][1])
    writer.write(b"GET http://foundry.local/ready HTTP/1.1\r\nHost: foundry.local\r\nConnection: close\r\n\r\n")
    try:
        answer = await reader.read()
    except ConnectionError:
        answer = b""
    writer.close()
    _note(answer)


def _note(answer: bytes) -> None:
    Path(os.environ["EARLY_ANSWER"]).write_bytes(answer)

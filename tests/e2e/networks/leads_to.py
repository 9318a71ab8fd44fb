"""A mitmproxy script: the name service and the wires of a test, in $LEADS_TO, a JSON object from host to port.

A connection to one of these hosts goes to that port of 127.0.0.1 instead, to any other host to that of "*", if there is
one, and is refused otherwise. Addresses of 127.0.0.0/8 and ::1 lead where they say. What mitmproxy knows of the
connection stays as it is, unlike where a script changes the server's address: in reverse mode that address becomes the
Host header.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
from typing import Any

_PORTS: dict[str, int] = json.loads(os.environ["LEADS_TO"])
_open_connection = asyncio.open_connection


async def _lead(host: str, port: int, **arguments: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if _is_loopback(host):
        return await _open_connection(host, port, **arguments)
    if host not in _PORTS and "*" not in _PORTS:
        raise ConnectionRefusedError(f"nobody is at {host}")
    return await _open_connection("127.0.0.1", _PORTS.get(host) or _PORTS["*"])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


asyncio.open_connection = _lead  # type: ignore[assignment]

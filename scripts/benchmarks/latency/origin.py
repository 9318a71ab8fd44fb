"""A Foundry that answers at once, or in a slow stream; in a process of its own, so that it takes nobody's time.

`python origin.py FOLDER` writes the certificate into FOLDER, prints the port and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from pathlib import Path

_SCRIPTS = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_SCRIPTS), str(_SCRIPTS.parent / "addons")]

from demo.certificate import write_certificate  # noqa: E402 - found by the lines above
from host_rules import FOUNDRY_DOMAINS  # noqa: E402

CHUNKS = 300
EVERY_SECONDS = 0.01

_USAGE = {"input_tokens": 3, "cache_read_input_tokens": 9, "output_tokens": 5}
_ANSWER = json.dumps({"type": "message", "model": "made-up", "content": [], "usage": _USAGE}).encode()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.split(b"\r\n")
            length = next(int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length:"))
            body = await reader.readexactly(length)
            if body.endswith(b'"stream":true}'):
                await _stream(writer)
            else:
                length_line = b"content-length: %d\r\n\r\n" % len(_ANSWER)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" + length_line + _ANSWER)
                await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


async def _stream(writer: asyncio.StreamWriter) -> None:
    """Events that say when they were sent, in seconds of the machine's monotonic clock."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(CHUNKS):
        event = b"event: content_block_delta\ndata: %.6f\n\n" % time.monotonic()
        writer.write(b"%x\r\n%b\r\n" % (len(event), event))
        await writer.drain()
        await asyncio.sleep(EVERY_SECONDS)
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _main(folder: Path) -> None:
    certificate, key = write_certificate(folder, tuple(f"*.{domain}" for domain in FOUNDRY_DOMAINS))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(_serve, "127.0.0.1", 0, ssl=context, limit=2**20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))

"""A server on loopback that writes down, byte for byte, what reaches it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from demo.certificate import write_certificate

__all__ = ["OK", "Received", "RecordingOrigin"]

_SECONDS = 60.0
OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'


@dataclass(frozen=True)
class Received:
    """One request as it arrived. `body` is without chunk framing."""

    head: bytes
    body: bytes

    @property
    def headers(self) -> list[tuple[str, str]]:
        lines = self.head.decode().split("\r\n")[1:]
        return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]


def _answer_ok(_received: Received, send: Callable[[bytes], None]) -> None:
    send(OK)


class RecordingOrigin:
    """Speaks TLS as each of `hosts`, with a certificate of its own, and plain HTTP on the same port.

    A connection that starts with "ECHO" is answered with what came, backwards, and ends. `address` is one of loopback.
    """

    def __init__(self, directory: Path, *hosts: str, address: str = "127.0.0.1") -> None:
        self.certificate, key = write_certificate(directory, hosts)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.certificate, key)
        self._context.set_alpn_protocols(["h2", "http/1.1"])  # as Foundry; h2 itself is not spoken here
        self._listener = socket.create_server(
            (address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET
        )
        self.port: int = self._listener.getsockname()[1]
        self.received: list[Received] = []
        self.heads: list[bytes] = []  # of all requests, of those as well that did not come whole
        self.answer: Callable[[Received, Callable[[bytes], None]], None] = _answer_ok

    def __enter__(self) -> Self:
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Whoever still waits at a number that was closed gets the connections of the next to whom it is given.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(_SECONDS)
        self._listener.close()

    @property
    def environment(self) -> dict[str, str]:
        """What harness/to_origin.py needs."""
        return {"ORIGIN_PORT": str(self.port)}

    @property
    def options(self) -> dict[str, str]:
        """What mitmdump needs to trust this server."""
        return {"ssl_verify_upstream_trusted_ca": str(self.certificate)}

    def forget(self) -> None:
        self.received.clear()
        self.heads.clear()
        self.answer = _answer_ok

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(_SECONDS)
        with contextlib.suppress(OSError), connection:
            first = connection.recv(1, socket.MSG_PEEK)
            if first == b"E":  # ECHO
                connection.sendall(connection.recv(65536)[::-1])
                return
            if first == b"\x16":
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as stream:
                while (received := _read(stream, self.heads.append)) is not None:
                    self.received.append(received)
                    self.answer(received, connection.sendall)


def _read(stream: BinaryIO, tell: Callable[[bytes], None]) -> Received | None:
    """The next request, of whose head it is told at once.

    None where the connection ends before it is whole, as servers do not answer half a request.
    """
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return None
        head += line
    received = Received(head.removesuffix(b"\r\n\r\n"), b"")
    tell(received.head)
    headers = {name.lower(): value for name, value in received.headers}
    if "chunked" not in headers.get("transfer-encoding", ""):
        length = int(headers.get("content-length", "0"))
        body = stream.read(length)
        return Received(received.head, body) if len(body) == length else None
    body = b""
    while size := stream.readline():
        if size.strip() == b"0":
            return Received(received.head, body) if stream.readline() else None
        body += stream.read(int(size, 16))
        stream.readline()
    return None

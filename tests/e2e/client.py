"""A client that sends exactly the bytes that a test names, through a proxy."""

from __future__ import annotations

import http.client
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Answer", "Tunnel", "exchange", "plain", "request"]

_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    """A response that came in whole."""

    status: int
    body: bytes


class Tunnel:
    """A connection to a host through a proxy's CONNECT."""

    def __init__(self, proxy_port: int, host: str, port: int = 443) -> None:
        self.socket: socket.socket = socket.create_connection(("127.0.0.1", proxy_port), timeout=_SECONDS)
        try:
            self.socket.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                byte = self.socket.recv(1)
                if not byte:
                    break
                head += byte
            self.status = int(head.split()[1])
        except BaseException:
            self.socket.close()
            raise

    def start_tls(self, name: str | None, *trusted: Path) -> bytes:
        """Speak TLS, asking for `name`; return the server's certificate (DER). Raises ssl.SSLError if not trusted."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = name is not None
        for path in trusted:
            context.load_verify_locations(path)
        encrypted = context.wrap_socket(self.socket, server_hostname=name)
        self.socket = encrypted
        return encrypted.getpeercert(binary_form=True) or b""

    def exchange(self, raw: bytes) -> Answer:
        """Send a request and wait for the response."""
        self.socket.sendall(raw)
        return _read(self.socket)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()


def exchange(proxy_port: int, host: str, raw: bytes, *trusted: Path) -> Answer:
    """Send one request to `host` over TLS through the proxy."""
    with Tunnel(proxy_port, host) as tunnel:
        tunnel.start_tls(host, *trusted)
        return tunnel.exchange(raw)


def plain(proxy_port: int, raw: bytes) -> Answer:
    """Send one request to the proxy itself, without TLS."""
    with socket.create_connection(("127.0.0.1", proxy_port), timeout=_SECONDS) as connection:
        connection.sendall(raw)
        return _read(connection)


def request(host: str, body: bytes, *headers: str, path: str = "/anthropic/v1/messages?beta=true") -> bytes:
    """A POST of `body` with `headers` (whole lines); Content-Length stands last unless one of them frames the body."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", "Content-Type: application/json", *headers]
    if not any(line.lower().startswith("transfer-encoding") for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _read(connection: socket.socket) -> Answer:
    response = http.client.HTTPResponse(connection)
    response.begin()
    return Answer(response.status, response.read())

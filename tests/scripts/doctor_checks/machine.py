"""A made-up machine for the doctor, and servers on loopback that misbehave in one way each."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from doctor_checks.finding import Finding
from launcher.client_settings import ClientSettings, read

__all__ = ["HOST", "by_name", "saying", "settings", "speaking", "tunnelling"]

HOST = "made-up.services.ai.azure.com"


def settings(home: Path, **environment: str) -> ClientSettings:
    """What Claude Code would see in `home` with nothing but `environment`."""
    return read({"HOME": str(home), **environment}, (), home / "work", home / "managed")


def by_name(findings: Iterator[Finding]) -> dict[str, Finding]:
    """The findings, each under its name, which no two of them share."""
    listed = list(findings)
    named = {finding.name: finding for finding in listed}
    assert len(named) == len(listed)
    return named


@contextlib.contextmanager
def speaking(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server on loopback that hands each connection to `serve`, one after the other; its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                serve(connection)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def saying(answer: bytes) -> Callable[[socket.socket], None]:
    """Reads the head of a request and gives this `answer`."""

    def serve(connection: socket.socket) -> None:
        if _head(connection):
            connection.sendall(answer)

    return serve


def tunnelling(port: int, hosts: list[str]) -> Callable[[socket.socket], None]:
    """A company's proxy: leads every tunnel to `port`, notes in `hosts` whom it was for, and knows nothing else."""

    def serve(connection: socket.socket) -> None:
        head = _head(connection)
        if not head.startswith(b"CONNECT "):
            connection.sendall(b"HTTP/1.1 502 No such host\r\nContent-Length: 0\r\n\r\n")
            return
        hosts.append(head.split()[1].decode())
        with socket.create_connection(("127.0.0.1", port)) as server:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            other = {connection: server, server: connection}
            while True:
                for ready in select.select(list(other), [], [])[0]:
                    piece = ready.recv(65536)
                    if not piece:
                        return
                    other[ready].sendall(piece)

    return serve


def _head(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(4096)
        if not piece:
            return b""
        received += piece
    return received

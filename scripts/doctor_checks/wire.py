"""As much of HTTP and TLS as the checks need, each exchange bounded in time as a whole and in size."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["MOST_BYTES", "Deadline", "NoHttpError", "Reply", "connect", "exchange", "handshake", "within"]

MOST_BYTES = 256 * 1024
BODY_SECONDS = 2.0
"""How long the body of an answer is waited for: that an answer came is what counts."""
USER_AGENT = "foundry-compress-doctor"


class NoHttpError(Exception):
    """What answered does not speak HTTP."""


class Deadline:
    """When an exchange as a whole has to be over."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds left. Raises TimeoutError if there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; `headers` by their names in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def is_mitmproxys(self) -> bool:
        """Whether mitmproxy itself gave it, and not what is behind it."""
        return self.headers.get("server", "").startswith("mitmproxy")


def within[T](seconds: float, act: Callable[[], T]) -> T:
    """What `act` returns or raises; TimeoutError if it takes longer: looking up a name has no limit of its own."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(act())
        except BaseException as error:  # noqa: BLE001 - it is raised again below
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError
    return results[0]


def connect(host: str, port: int, deadline: Deadline) -> socket.socket:
    """Raises OSError."""
    return socket.create_connection((host, port), timeout=deadline.left())


def handshake(connection: socket.socket, host: str, context: ssl.SSLContext, deadline: Deadline) -> ssl.SSLSocket:
    """TLS for `host` over `connection`. Raises OSError."""
    connection.settimeout(deadline.left())
    return context.wrap_socket(connection, server_hostname=host)


def exchange(
    connection: socket.socket,
    head: Iterable[str],
    deadline: Deadline,
    body: bytes = b"",
) -> Reply:
    """Send a request of the lines of `head` and `body`; return the answer, interim ones left out.

    Of the answer's body what comes soon, before its end and `MOST_BYTES`. Raises OSError or NoHttpError.
    """
    lines = (*head, f"User-Agent: {USER_AGENT}")
    request = "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii") + body
    connection.settimeout(deadline.left())
    connection.sendall(request)
    received = b""
    while True:
        while b"\r\n\r\n" not in received:
            if len(received) > MOST_BYTES:
                raise NoHttpError
            received += _receive(connection, deadline)
        begin, _, received = received.partition(b"\r\n\r\n")
        reply = _parse(begin)
        if reply.status >= 200:  # noqa: PLR2004 - below are interim answers
            break
    if lines[0].startswith("CONNECT ") and reply.status == 200:  # noqa: PLR2004 - what follows is in the tunnel
        return reply
    length = reply.headers.get("content-length", "")
    wanted = min(int(length), MOST_BYTES) if length.isdecimal() else MOST_BYTES
    soon = Deadline(min(BODY_SECONDS, deadline.left()))
    with contextlib.suppress(OSError):
        while len(received) < wanted:
            received += _receive(connection, soon)
    return Reply(reply.status, reply.headers, received[:wanted])


def _receive(connection: socket.socket, deadline: Deadline) -> bytes:
    connection.settimeout(deadline.left())
    piece = connection.recv(65536)
    if not piece:
        raise ConnectionResetError("hung up without an answer")
    return piece


def _parse(begin: bytes) -> Reply:
    first, *lines = begin.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/") or not rest[:3].isdecimal():
        raise NoHttpError
    pairs = (line.partition(":") for line in lines)
    return Reply(int(rest[:3]), {name.strip().lower(): value.strip() for name, _, value in pairs})

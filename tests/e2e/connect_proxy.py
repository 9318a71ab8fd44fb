"""A company's proxy on loopback: wants a password, knows CONNECT, and leads every host to one port."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

__all__ = ["ConnectProxy"]


class ConnectProxy:
    """Used in a `with` block. `seen` are the hosts asked for with the right credentials, `refused` those without."""

    def __init__(self, target_port: int, credentials: str | None = None) -> None:
        self.seen: list[str] = []
        self.refused: list[str] = []
        self._target = ("127.0.0.1", target_port)
        self._wanted = credentials and "Basic " + base64.b64encode(credentials.encode()).decode()
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for open_socket in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)
            open_socket.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                piece = client.recv(4096)
                if not piece:
                    return
                head += piece
            lines = head.decode("latin-1").split("\r\n")
            host = lines[0].split()[1].rpartition(":")[0]
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            if self._wanted and headers.get("proxy-authorization") != self._wanted:
                self.refused.append(host)
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            self.seen.append(host)
            with socket.create_connection(self._target) as server:
                self._sockets.append(server)
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=_pump, args=(server, client), daemon=True)
                back.start()
                _pump(client, server)
                back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)

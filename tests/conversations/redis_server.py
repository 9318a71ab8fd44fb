"""A Redis server of the tests' own: on a socket in a folder or a port on loopback, and nothing of it on a disk."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from configuring.state_url import StateUrl, read_state_url
from conversations import redis_store
from free_port import free_port

__all__ = ["NEEDS_REDIS", "RedisServer"]

PROGRAM = shutil.which("redis-server") or shutil.which("valkey-server")
NEEDS_REDIS = pytest.mark.skipif(PROGRAM is None, reason="redis-server is not installed (Debian: redis-server)")

_START_SECONDS = 60.0
PATIENCE = 60.0
"""How many seconds stores in this process wait for a server, which a busy machine may hold up for longer than a request
waits."""


class RedisServer:
    """A server that runs, and `PATIENCE` holds, while the context lasts. `password` is what it wants of clients."""

    def __init__(self, *arguments: str, password: str = "") -> None:
        self._arguments = arguments
        self.password = password
        self._process: subprocess.Popen[bytes] | None = None
        self._patience = pytest.MonkeyPatch()

    def __enter__(self) -> Self:
        # A socket's path must be short, whatever the tests' own folder is called.
        self._folder = tempfile.TemporaryDirectory(prefix="fc-redis-")
        self.socket = Path(self._folder.name) / "s"
        self.port = free_port()
        self.start()
        for name in ("_CONNECT_SECONDS", "_ANSWER_SECONDS"):
            self._patience.setattr(redis_store, name, PATIENCE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._folder.cleanup()
        self._patience.undo()

    @property
    def on_socket(self) -> StateUrl:
        return self._url(f"unix://{self._secret}{self.socket}?db=0")

    @property
    def on_port(self) -> StateUrl:
        return self._url(f"redis://{self._secret}127.0.0.1:{self.port}/0")

    @property
    def _secret(self) -> str:
        return f":{self.password}@" if self.password else ""

    @staticmethod
    def _url(value: str) -> StateUrl:
        url = read_state_url(value)
        assert url is not None
        return url

    def start(self) -> None:
        """Start it, empty."""
        assert PROGRAM is not None
        command = [PROGRAM, "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", str(self.socket)]
        command += ["--save", "", "--appendonly", "no", "--dir", self._folder.name, "--loglevel", "warning"]
        command += ["--requirepass", self.password] if self.password else []
        self._process = subprocess.Popen(
            [*command, *self._arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        )
        end = time.monotonic() + _START_SECONDS
        while not self._listens():
            assert self._process.poll() is None, "the Redis server ended at its start"
            assert time.monotonic() < end, "the Redis server did not come up"
            time.sleep(0.01)
        assert self.tell("PING") == "+PONG", "it answers once it listens everywhere"

    def stop(self) -> None:
        """End it; what it held is gone. Nobody else is given its port for a minute, see `free_port`."""
        if self._process is not None:
            # It is the first to end this connection, so that it is its end that waits.
            with socket.create_connection(("127.0.0.1", self.port), timeout=_START_SECONDS):
                self._process.kill()
                self._process.wait()
            self._process = None

    def tell(self, *words: str) -> str:
        """What it answers to a command, in one line."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=_START_SECONDS) as connection:
            lines = connection.makefile("rwb", buffering=0)
            for command in ([["AUTH", self.password]] if self.password else []) + [list(words)]:
                lines.write(" ".join(command).encode() + b"\r\n")
                answer = lines.readline().decode().strip()
        assert not answer.startswith("-"), answer
        return answer

    def dump(self) -> bytes:
        """All that it holds, keys and values."""
        import redis  # noqa: PLC0415 - tests of other things do without

        with redis.Redis.from_url(self.on_port.value) as client:
            keys = list(client.scan_iter(count=1000))
            return b"\n".join([*keys, *(client.dump(key) or b"" for key in keys)])

    def freeze(self) -> None:
        """Let it answer nothing until `thaw`, though it can be connected to."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return self.socket.exists()

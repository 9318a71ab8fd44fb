"""The proxies that are compared, each a process of its own in front of one origin, and a client for them."""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mitmproxy.certs import CertStore

from free_port import free_port

__all__ = ["HOST", "Client", "Proxy", "started"]

HOST = "made-up-resource.services.ai.azure.com"
_SCRIPTS = Path(__file__).resolve().parents[2]
_ADDON = _SCRIPTS.parent / "addons" / "foundry_compress.py"
_REDIRECT = _SCRIPTS / "demo" / "redirect.py"
_IDLE = Path(__file__).with_name("idle_addon.py")
_START_SECONDS = 30.0
_SILENCE_SECONDS = 120.0
_SENT = re.compile(rb"data: ([0-9.]+)")


@dataclass(frozen=True)
class Proxy:
    """A proxy that runs: `name` is "bare", "idle" (an addon that does nothing), "ours", or "web" (ours in mitmweb)."""

    name: str
    port: int
    certificate: Path
    process: subprocess.Popen[bytes]

    @property
    def resident_mb(self) -> float:
        """Its resident size, in MB of 1,000,000 bytes. Linux only."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Client:
    """A connection to Foundry through a proxy, kept alive."""

    def __init__(self, proxy: Proxy) -> None:
        plain = socket.create_connection(("127.0.0.1", proxy.port), _SILENCE_SECONDS)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or the last piece of a body waits for 40 ms
        plain.sendall(f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n".encode())
        while not plain.recv(4096).endswith(b"\r\n\r\n"):
            pass
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(proxy.certificate)
        self._socket = context.wrap_socket(plain, server_hostname=HOST)
        self._reader = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        """Open already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self._socket.close()

    def send(self, body: bytes) -> None:
        """Send a request."""
        head = (
            f"POST /anthropic/v1/messages?beta=true HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
            f"x-api-key: made-up\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + body)

    def seconds(self, body: bytes) -> float:
        """How long the answer to a request takes, from its first byte sent to the last one received."""
        started = time.perf_counter()
        self.send(body)
        self._reader.read(self._head())
        return time.perf_counter() - started

    def delays(self, body: bytes) -> Iterator[float]:
        """How many seconds each event of a streamed answer was on its way."""
        self.send(body)
        self._head()
        while size := int(self._reader.readline(), 16):
            events = self._reader.read(size + 2)  # mitmproxy may pass several at once
            now = time.monotonic()
            yield from (now - float(sent) for sent in _SENT.findall(events))
        self._reader.readline()

    def _head(self) -> int:
        """Read the head of a response; the length of its body, 0 where it does not say."""
        length = 0
        assert b" 200 " in self._reader.readline(), "the origin answers 200 to everything"  # noqa: S101
        while (line := self._reader.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return length


@contextmanager
def started(folder: Path, *names: str, options: Mapping[str, str]) -> Iterator[list[Proxy]]:
    """Start the origin and the proxies with these names; `options` are for those with the addon."""
    with ExitStack() as stack:
        origin = stack.enter_context(
            subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("origin.py")), str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        )
        stack.callback(origin.terminate)
        assert origin.stdout  # noqa: S101 - asked for above
        port = origin.stdout.readline().decode().strip()
        yield [stack.enter_context(_proxy(name, folder, port, options)) for name in names]


@contextmanager
def _proxy(name: str, folder: Path, origin: str, options: Mapping[str, str]) -> Iterator[Proxy]:
    home = folder / name
    home.mkdir()
    given = {"ssl_verify_upstream_trusted_ca": str(folder / "certificate.pem"), "confdir": str(home / "ca")}
    scripts = [_REDIRECT]
    if name in ("ours", "web"):
        scripts.append(_ADDON)
        given |= {"foundry_state_dir": str(home / "state"), **options}
    else:
        CertStore.create_store(home / "ca", "mitmproxy", 2048)
        given |= {"upstream_cert": "false", "http2": "false"}
        scripts += [_IDLE] if name == "idle" else []
    program = "mitmdump"
    if name == "web":
        program = "mitmweb"
        given |= {"web_open_browser": "false", "web_port": str(free_port())}
    port = free_port()
    command = [str(Path(sys.executable).with_name(program)), "-q", "--listen-host", "127.0.0.1", "-p", str(port)]
    for option, value in given.items():
        command += ["--set", f"{option}={value}"]
    for script in scripts:
        command += ["-s", str(script)]
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC", "FOUNDRY"))}
    environment = {**variables, "HOME": str(home), "FOUNDRY_STAND_IN_PORT": origin}
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield Proxy(name, port, home / "ca" / "mitmproxy-ca-cert.pem", process)
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("bench: a proxy did not start")

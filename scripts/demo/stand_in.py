"""A stand-in for Foundry on loopback.

It speaks HTTP/1.1 over TLS with a throw-away certificate for Foundry's names, answers the Messages API from a
script, and remembers, in memory only, every request as it arrived. The same port speaks plain HTTP as well,
for whoever started it to ask `GET /stand-in/requests`: JSON, bodies in base64.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import socket
import ssl
import tempfile
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from demo.answers import Answer, Refusal, bad_request, events, message, not_found
from demo.certificate import write_certificate
from demo.conversation import CONVERSATION
from demo.prompt_cache import BYTES_PER_TOKEN, PromptCache
from host_rules import FOUNDRY_DOMAINS

__all__ = ["Request", "Script", "StandIn"]

_HOSTS = tuple(f"*.{domain}" for domain in FOUNDRY_DOMAINS)
_LARGEST_BODY = 64 * 1024 * 1024
_REQUESTS_KEPT = 500
_CONNECTIONS = 64
_SILENCE = 120.0  # seconds after which a connection that says nothing is closed
_TLS_HANDSHAKE = b"\x16"  # the first byte of every TLS connection
_LAST_WORD = Answer(("Done.",))


@dataclass(frozen=True)
class Request:
    """A request as it arrived; `at` in seconds of the monotonic clock."""

    number: int
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    at: float

    @property
    def request_id(self) -> str:
        """The `request-id` of the answer to this request."""
        return f"req_{self.number:024d}"

    def header(self, name: str) -> str | None:
        """Return the first value of the header `name`, in whatever case it arrived."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @cached_property
    def plain_body(self) -> bytes:
        """The body without its gzip or deflate encoding."""
        match self.header("content-encoding"):
            case "gzip":
                return gzip.decompress(self.body)
            case "deflate":
                return zlib.decompress(self.body)
            case _:
                return self.body

    @cached_property
    def json(self) -> dict[str, Any]:
        """The body as a JSON object. Raises ValueError or TypeError if it is not one."""
        parsed = json.loads(self.plain_body)
        if not isinstance(parsed, dict):
            raise TypeError("the body is not a JSON object")
        return parsed

    @property
    def turn(self) -> int:
        """How many assistant messages the body holds: which answer of a script is due, without a memory."""
        return sum(entry.get("role") == "assistant" for entry in self.json["messages"])


Script = Sequence[Answer | Refusal] | Callable[[Request], Answer | Refusal]


class StandIn:
    """Foundry on 127.0.0.1 while the context lasts.

    `script` is a list of answers, of which `Request.turn` picks one (and "Done." once the list is over), or a
    callable that is handed each request. Both are asked from many threads.
    """

    def __init__(
        self, script: Script = CONVERSATION, hosts: tuple[str, ...] = _HOSTS, cache: PromptCache | None = None
    ) -> None:
        self._script = script
        self._cache = cache or PromptCache()
        self._bills: dict[int, dict[str, Any]] = {}  # by the request's number
        self._hosts = hosts
        self._requests: deque[Request] = deque(maxlen=_REQUESTS_KEPT)
        self._lock = threading.Lock()
        self._count = 0

    def __enter__(self) -> Self:
        """Start listening; `port` and `ca_path` are there from now on."""
        self._directory = tempfile.TemporaryDirectory(prefix="foundry-stand-in-")
        self.ca_path, key_path = write_certificate(Path(self._directory.name), self._hosts)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.ca_path, key_path)
        tls.set_alpn_protocols(["http/1.1"])
        self._server = _Server(self, tls)
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close every connection, wait for its thread, remove the certificate."""
        self._server.stop()
        self._thread.join()
        self._directory.cleanup()

    @property
    def requests(self) -> list[Request]:
        """The requests so far, in the order in which they arrived; the newest few hundred of them."""
        with self._lock:
            return list(self._requests)

    @property
    def bills(self) -> dict[int, dict[str, Any]]:
        """What was billed so far, as the answers said it: `usage` by the number of the request."""
        with self._lock:
            return dict(self._bills)

    def reply(self, answer: Answer, request: Request) -> dict[str, Any]:
        """Make the message that answers `request`, and remember what it bills."""
        reply = message(answer, request.plain_body, self._cache.bill(request.plain_body))
        with self._lock:
            self._bills[request.number] = reply["usage"]
        return reply

    def elsewhere(self, request: Request) -> Refusal | dict[str, Any] | Iterable[bytes]:  # noqa: ARG002
        """Answer a `request` to a path that is none of the Messages API's: an object, or the events of a stream.

        A subclass may know more of Foundry's paths.
        """
        return not_found()

    def stream_type(self, request: Request) -> str:  # noqa: ARG002
        """The Content-Type of the stream that answers `request`; a subclass may know others."""
        return "text/event-stream; charset=utf-8"

    def record(self, method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes) -> Request:
        """Remember one request."""
        with self._lock:
            self._count += 1
            request = Request(self._count, method, path, tuple(headers), body, time.monotonic())
            self._requests.append(request)
        return request

    def answer(self, request: Request) -> Answer | Refusal:
        """Choose what the script says to `request`."""
        try:
            turn = request.turn
        except (ValueError, TypeError, KeyError, OSError, zlib.error) as problem:
            return bad_request(f"The request body is not valid: {problem}")
        if callable(self._script):
            return self._script(request)
        return self._script[turn] if turn < len(self._script) else _LAST_WORD


class _Server(ThreadingHTTPServer):
    """Serves each connection in a thread of its own, no more than `_CONNECTIONS` at a time."""

    daemon_threads = False  # so that stop() waits for them

    def __init__(self, stand_in: StandIn, tls: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.stand_in = stand_in
        self.tls = tls
        self.stopping = threading.Event()
        self.open: set[socket.socket] = set()
        self._free = threading.BoundedSemaphore(_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that goes away or refuses the certificate is an ordinary event here."""

    def keep(self, connection: socket.socket) -> None:
        """Remember a connection, to end it with the server; if that has begun, end it now."""
        self.open.add(connection)
        if self.stopping.is_set():
            _end(connection)

    def stop(self) -> None:
        self.stopping.set()
        self.shutdown()
        for connection in list(self.open):
            _end(connection)
        self.server_close()


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # gone already
        # Not SSLSocket.shutdown, which takes the TLS state away from the thread that is reading.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        self.request.settimeout(_SILENCE)
        self.server.keep(self.request)
        if self.request.recv(1, socket.MSG_PEEK) == _TLS_HANDSHAKE:
            plain = self.request
            self.request = self.server.tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
            self.server.open.discard(plain)
            self.server.keep(self.request)
        super().setup()

    def handle(self) -> None:
        if isinstance(self.request, ssl.SSLSocket):
            self.request.do_handshake()
        super().handle()

    def finish(self) -> None:
        self.server.open.discard(self.request)
        try:
            super().finish()
        finally:
            self.request.close()

    def do_GET(self) -> None:
        if self.path == "/stand-in/requests":
            self._send(200, _as_json([_shown(request) for request in self.server.stand_in.requests]))
        else:
            self._send(404, not_found().body)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _LARGEST_BODY:
            self.close_connection = True
            self._send(411 if not length else 413, b"")
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True
            return
        request = self.server.stand_in.record(self.command, self.path, self.headers.items(), body)
        match self.path.partition("?")[0]:
            case "/anthropic/v1/messages":
                self._messages(request)
            case "/anthropic/v1/messages/count_tokens":
                self._send(200, _as_json({"input_tokens": max(1, len(body) // BYTES_PER_TOKEN)}), request)
            case _:
                self._elsewhere(request)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Say nothing: what arrived is asked for, not printed."""

    def _messages(self, request: Request) -> None:
        answer = self.server.stand_in.answer(request)
        if isinstance(answer, Refusal):
            self._send(answer.status, answer.body, request, answer.headers)
        elif request.json.get("stream"):
            self._stream(events(self.server.stand_in.reply(answer, request)), request, answer.pause)
        else:
            self._send(200, _as_json(self.server.stand_in.reply(answer, request)), request)

    def _elsewhere(self, request: Request) -> None:
        reply = self.server.stand_in.elsewhere(request)
        if isinstance(reply, Refusal):
            self._send(reply.status, reply.body, request, reply.headers)
        elif isinstance(reply, dict):
            self._send(200, _as_json(reply), request)
        else:
            self._stream(reply, request)

    def _stream(self, pieces: Iterable[bytes], request: Request, pause: float = 0.0) -> None:
        self.send_response(200)
        self.send_header("Content-Type", self.server.stand_in.stream_type(request))
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("request-id", request.request_id)
        self.end_headers()
        for piece in pieces:
            if pause and self.server.stopping.wait(pause):
                self.close_connection = True
                return
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def _send(
        self,
        status: int,
        body: bytes,
        request: Request | None = None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        # 529 is not in http.HTTPStatus, so the phrase must be named.
        self.send_response(status, {529: "Overloaded"}.get(status))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if request:
            self.send_header("request-id", request.request_id)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _shown(request: Request) -> dict[str, Any]:
    return {
        "number": request.number,
        "method": request.method,
        "path": request.path,
        "headers": request.headers,
        "body": base64.b64encode(request.body).decode(),
        "at": request.at,
    }


def _as_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

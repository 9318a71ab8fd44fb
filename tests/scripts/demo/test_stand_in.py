from __future__ import annotations

import base64
import gzip
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from typing import Any

import pytest

from demo.answers import Answer, Refusal, overloaded, unauthorized
from demo.conversation import CONVERSATION
from demo.stand_in import Request, StandIn
from host_rules import FOUNDRY_DOMAINS

HOST = "made-up.services.ai.azure.com"
MESSAGES = "/anthropic/v1/messages?beta=true"
QUESTION = {"role": "user", "content": "?"}
SECONDS = 100
REPLY = {"role": "assistant", "content": "!"}


class _Client(http.client.HTTPSConnection):
    """Reaches the stand-in under the name of a Foundry host, and verifies that name."""

    def __init__(self, stand_in: StandIn) -> None:
        super().__init__(HOST, timeout=SECONDS)
        self._trust = ssl.create_default_context(cafile=str(stand_in.ca_path))
        self._port = stand_in.port

    def connect(self) -> None:
        plain = socket.create_connection(("127.0.0.1", self._port), timeout=SECONDS)
        self.sock = self._trust.wrap_socket(plain, server_hostname=HOST)

    def post(
        self, *messages: dict[str, Any], path: str = MESSAGES, **more: Any
    ) -> tuple[http.client.HTTPResponse, bytes]:
        self.request("POST", path, json.dumps({"model": "made-up", "messages": messages, **more}))
        response = self.getresponse()
        return response, response.read()


def says(body: bytes) -> str:
    return str(json.loads(body)["content"][0]["text"])


def test_the_number_of_assistant_messages_chooses_the_answer() -> None:
    with StandIn([Answer(("first",)), Answer(("second",))]) as stand_in:
        client = _Client(stand_in)
        said = [says(client.post(*messages)[1]) for messages in ([QUESTION], [QUESTION, REPLY, QUESTION], [QUESTION])]
        over = says(client.post(QUESTION, REPLY, QUESTION, REPLY, QUESTION)[1])
        client.close()

    assert said == ["first", "second", "first"]
    assert over == "Done."


@pytest.mark.parametrize("domain", FOUNDRY_DOMAINS)
def test_it_has_a_certificate_for_every_name_that_is_led_to_it(domain: str) -> None:
    with StandIn([]) as stand_in:
        trust = ssl.create_default_context(cafile=str(stand_in.ca_path))
        with (
            socket.create_connection(("127.0.0.1", stand_in.port), timeout=SECONDS) as plain,
            trust.wrap_socket(plain, server_hostname=f"made-up.{domain}") as encrypted,
        ):
            assert encrypted.version()


def test_a_callable_is_handed_the_request() -> None:
    def script(request: Request) -> Answer | Refusal:
        return Answer((request.json["model"],))

    with StandIn(script) as stand_in:
        client = _Client(stand_in)
        assert says(client.post(QUESTION)[1]) == "made-up"
        client.close()


def test_the_demo_is_what_it_says_by_default() -> None:
    with StandIn() as stand_in:
        client = _Client(stand_in)
        assert says(client.post(QUESTION)[1]) == CONVERSATION[0].blocks[0]
        client.close()


def test_a_stream_is_a_stream() -> None:
    with StandIn([Answer(("in a stream",))]) as stand_in:
        client = _Client(stand_in)
        response, body = client.post(QUESTION, stream=True)
        client.close()

    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert body.startswith(b"event: message_start\n")
    assert body.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')


class _Pauses(threading.Event):
    """In the place of what ends a stand-in: a pause is over once the client has what was sent before it."""

    def __init__(self, has_come: threading.Semaphore) -> None:
        super().__init__()
        self.seconds: list[float | None] = []
        self._has_come = has_come

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout)
        return not self._has_come.acquire(timeout=SECONDS)


def test_a_stream_drips_when_asked_to() -> None:
    has_come = threading.Semaphore()  # the first pause is before there is anything
    with StandIn([Answer(("word " * 40,), pause=0.1)]) as stand_in:
        stand_in._server.stopping = pauses = _Pauses(has_come)
        client = _Client(stand_in)
        client.request("POST", MESSAGES, json.dumps({"messages": [QUESTION], "stream": True}))
        arrived = 0
        for line in client.getresponse():
            if line.startswith(b"data: "):
                arrived += 1
                has_come.release()
        client.close()

    assert arrived > 8
    assert pauses.seconds == [0.1] * arrived


def test_tokens_are_counted() -> None:
    with StandIn([]) as stand_in:
        client = _Client(stand_in)
        _, body = client.post({"role": "user", "content": "?" * 400}, path="/anthropic/v1/messages/count_tokens")
        client.close()

    assert json.loads(body)["input_tokens"] > 100


@pytest.mark.parametrize("refusal", [unauthorized(), overloaded()])
def test_a_refusal_leaves_as_it_is(refusal: Refusal) -> None:
    with StandIn([refusal]) as stand_in:
        client = _Client(stand_in)
        response, body = client.post(QUESTION, stream=True)
        client.close()

    assert (response.status, body) == (refusal.status, refusal.body)


@pytest.mark.parametrize("body", [b"no JSON", b"[]", b"{}", b'{"messages": 5}', b"\xff"])
def test_a_body_that_is_none_is_a_bad_request(body: bytes) -> None:
    with StandIn([]) as stand_in:
        client = _Client(stand_in)
        client.request("POST", MESSAGES, body)
        response = client.getresponse()
        kind = json.loads(response.read())["error"]["type"]
        client.close()

    assert (response.status, kind) == (400, "invalid_request_error")


def test_what_arrives_is_recorded_as_it_is() -> None:
    body = gzip.compress(json.dumps({"messages": [QUESTION]}).encode())
    with StandIn([]) as stand_in:
        client = _Client(stand_in)
        client.putrequest("POST", MESSAGES, skip_host=True, skip_accept_encoding=True)
        sent = [
            ("X-b", "1"),
            ("x-A", "2"),
            ("X-b", "3"),
            ("Content-Encoding", "gzip"),
            ("Content-Length", str(len(body))),
        ]
        for name, value in sent:
            client.putheader(name, value)
        client.endheaders(body)
        response = client.getresponse()
        response.read()
        client.close()
        [request] = stand_in.requests

    assert (request.method, request.path, list(request.headers), request.body) == ("POST", MESSAGES, sent, body)
    assert request.turn == 0
    assert request.header("x-a") == "2"
    assert response.headers["request-id"] == request.request_id


def test_one_connection_serves_many_requests() -> None:
    with StandIn([Answer(("hello",))]) as stand_in:
        client = _Client(stand_in)
        client.post(QUESTION)
        used = client.sock
        client.post(QUESTION, stream=True)
        client.post(QUESTION)
        assert client.sock is used
        assert [request.number for request in stand_in.requests] == [1, 2, 3]
        client.close()


def test_whoever_started_it_can_ask_without_tls_for_what_arrived() -> None:
    with StandIn([]) as stand_in:
        client = _Client(stand_in)
        client.post(QUESTION)
        client.close()
        plain = http.client.HTTPConnection("127.0.0.1", stand_in.port, timeout=SECONDS)
        plain.request("GET", "/stand-in/requests")
        [shown] = json.loads(plain.getresponse().read())
        plain.close()
        [request] = stand_in.requests

    assert base64.b64decode(shown["body"]) == request.body
    assert [tuple(header) for header in shown["headers"]] == list(request.headers)
    assert (shown["method"], shown["path"], shown["number"]) == ("POST", MESSAGES, 1)


def test_other_paths_are_not_there() -> None:
    with StandIn([]) as stand_in:
        client = _Client(stand_in)
        assert client.post(path="/openai/responses")[0].status == 404
        client.request("GET", "/")
        assert client.getresponse().status == 404
        client.close()
        assert [request.path for request in stand_in.requests] == ["/openai/responses"]


def test_a_subclass_may_know_more_paths() -> None:
    class More(StandIn):
        def elsewhere(self, request: Request) -> Refusal | dict[str, Any] | Iterable[bytes]:
            match request.path:
                case "/object":
                    return {"said": request.json["model"]}
                case "/stream":
                    return (b"data: %d\n\n" % number for number in range(3))
                case _:
                    return overloaded()

    with More() as stand_in:
        client = _Client(stand_in)
        whole, stream, refused = (client.post(path=path) for path in ("/object", "/stream", "/other"))
        client.close()

    assert json.loads(whole[1]) == {"said": "made-up"}
    assert stream[0].headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert stream[1] == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
    assert refused[0].status == 529


@pytest.mark.parametrize(("length", "status"), [(None, 411), (str(10**12), 413), ("many", 413)])
def test_a_body_without_a_bearable_length_is_refused(length: str | None, status: int) -> None:
    with StandIn([]) as stand_in:
        client = _Client(stand_in)
        client.putrequest("POST", MESSAGES)
        if length:
            client.putheader("Content-Length", length)
        client.endheaders()
        assert client.getresponse().status == status
        client.close()
        assert stand_in.requests == []


def test_the_end_does_not_wait_for_a_stream_or_an_idle_client() -> None:
    before = set(threading.enumerate())
    with StandIn([Answer(("word " * 1000,), pause=600)]) as stand_in:
        idle, streaming = _Client(stand_in), _Client(stand_in)
        idle.post()
        streaming.request("POST", MESSAGES, json.dumps({"messages": [QUESTION], "stream": True}))
        streaming.getresponse()
        started = time.monotonic()
    assert time.monotonic() - started < 100  # what is silent is cut off after 120 s in any case
    assert set(threading.enumerate()) <= before
    assert not stand_in.ca_path.exists()
    idle.close()
    streaming.close()


def test_the_end_does_not_wait_for_a_hand_that_is_not_shaken() -> None:
    before = set(threading.enumerate())
    with StandIn([]) as stand_in, socket.create_connection(("127.0.0.1", stand_in.port), SECONDS) as halfway:
        halfway.sendall(b"\x16\x03\x01")
        while not any(isinstance(one, ssl.SSLSocket) for one in list(stand_in._server.open)):
            time.sleep(0.01)
        started = time.monotonic()
        stand_in._server.stop()
        assert time.monotonic() - started < 100  # as above
    assert set(threading.enumerate()) <= before


def test_a_client_that_does_not_trust_it_does_no_harm() -> None:
    with StandIn([Answer(("hello",))]) as stand_in:
        stranger = ssl.create_default_context()
        plain = socket.create_connection(("127.0.0.1", stand_in.port), timeout=SECONDS)
        with plain, pytest.raises(ssl.SSLCertVerificationError):
            stranger.wrap_socket(plain, server_hostname=HOST)
        client = _Client(stand_in)
        assert says(client.post(QUESTION)[1]) == "hello"
        client.close()

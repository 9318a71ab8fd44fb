"""What reaches the service when there is nothing to change, and when there is."""

from __future__ import annotations

import gzip
import ssl
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard

from tests.e2e.client import Tunnel, exchange, request
from tests.e2e.mitmdump import ADDON, Mitmdump
from tests.e2e.recording_origin import RecordingOrigin

pytestmark = pytest.mark.e2e

HOST = "made-up.services.ai.azure.com"
STUB = Path(__file__).with_name("harness") / "engine_stub.py"
TO_ORIGIN = Path(__file__).with_name("harness") / "to_origin.py"

BODY = b'{"model":"m", "messages":[{"role":"user","content":"AAAA \xc3\xa9 \\u00e9"}]}' + b" " * 3000
# Compressed harder than mitmproxy compresses: a body that was decoded and encoded again would differ.
ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "gzip": lambda body: gzip.compress(body, 9),
    "br": lambda body: brotli.compress(body, quality=11),
    "zstd": lambda body: zstandard.ZstdCompressor(level=19).compress(body),
    "deflate": lambda body: zlib.compress(body, 9),
}
DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": lambda body: zstandard.ZstdDecompressor().stream_reader(body).read(),
    "deflate": zlib.decompress,
}
HEADERS = (
    "X-Api-Key: made-up-key",
    "anthropic-VERSION: 2023-06-01",
    "accept: application/json",
    "X-Twice: 1",
    "x-claude-code-session-id: 5e55",
    "X-Twice: 2",
    "User-Agent: claude-cli/2.1.197 (external, cli)",
    "Accept-Encoding: gzip, deflate, br, zstd",
)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordingOrigin]:
    with RecordingOrigin(tmp_path_factory.mktemp("origin"), HOST) as server:
        yield server


@pytest.fixture(scope="module", params=["observe", "nothing to do"])
def unchanging(
    request: pytest.FixtureRequest, origin: RecordingOrigin, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mitmdump]:
    """A proxy whose engine would change everything but may only observe, and one whose engine finds nothing to do."""
    observe = request.param == "observe"
    with Mitmdump(
        tmp_path_factory.mktemp("home"),
        *(ADDON, STUB, TO_ORIGIN),
        options=origin.options | {"foundry_mode": "observe" if observe else "lossless"},
        environment=origin.environment | {"ENGINE_STUB": "shorten" if observe else "nothing"},
    ) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def changing(origin: RecordingOrigin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mitmdump]:
    with Mitmdump(
        tmp_path_factory.mktemp("home"),
        *(ADDON, STUB, TO_ORIGIN),
        options=origin.options,
        environment=origin.environment | {"ENGINE_STUB": "shorten"},
    ) as proxy:
        yield proxy


@pytest.mark.parametrize("encoding", ENCODERS)
def test_an_unchanged_request_arrives_byte_for_byte(
    encoding: str, unchanging: Mitmdump, origin: RecordingOrigin
) -> None:
    origin.forget()
    headers = HEADERS if encoding == "identity" else (*HEADERS, f"Content-Encoding: {encoding}")
    raw = request(HOST, ENCODERS[encoding](BODY), *headers)
    assert exchange(unchanging.port, HOST, raw, unchanging.certificate).status == 200
    (received,) = origin.received
    assert received.head + b"\r\n\r\n" + received.body == raw


def test_an_unchanged_chunked_request_arrives_with_its_headers_and_content(
    unchanging: Mitmdump, origin: RecordingOrigin
) -> None:
    """The framing is each connection's own matter; everything else is the client's."""
    origin.forget()
    raw = request(HOST, b"", *HEADERS, "Transfer-Encoding: chunked")
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (BODY[:7], BODY[7:1000], BODY[1000:]))
    assert exchange(unchanging.port, HOST, raw + chunks + b"0\r\n\r\n", unchanging.certificate).status == 200
    (received,) = origin.received
    assert received.head + b"\r\n\r\n" == raw
    assert received.body == BODY


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_changed_request_keeps_its_encoding_and_all_headers_but_the_length(
    encoding: str, changing: Mitmdump, origin: RecordingOrigin
) -> None:
    origin.forget()
    headers = HEADERS if encoding == "identity" else (*HEADERS, f"Content-Encoding: {encoding}")
    raw = request(HOST, ENCODERS[encoding](BODY), *headers)
    assert exchange(changing.port, HOST, raw, changing.certificate).status == 200
    (received,) = origin.received
    assert DECODERS[encoding](received.body) == BODY.replace(b"AA", b"A", 1)
    sent_head = raw.partition(b"\r\n\r\n")[0].rpartition(b": ")[0]
    assert received.head == sent_head + b": %d" % len(received.body)


def test_a_changed_chunked_request_stays_chunked(changing: Mitmdump, origin: RecordingOrigin) -> None:
    origin.forget()
    raw = request(HOST, b"", *HEADERS, "Transfer-Encoding: chunked")
    chunks = b"%x\r\n%s\r\n" % (len(BODY), BODY)
    assert exchange(changing.port, HOST, raw + chunks + b"0\r\n\r\n", changing.certificate).status == 200
    (received,) = origin.received
    assert received.head + b"\r\n\r\n" == raw
    assert received.body == BODY.replace(b"AA", b"A", 1)


def test_a_client_that_waits_to_be_told_to_go_on_is_told(changing: Mitmdump, origin: RecordingOrigin) -> None:
    origin.forget()
    head, _, body = request(HOST, BODY, "Expect: 100-continue").partition(b"\r\n\r\n")
    with Tunnel(changing.port, HOST) as tunnel:
        tunnel.start_tls(HOST, changing.certificate)
        tunnel.socket.sendall(head + b"\r\n\r\n")
        told = b""
        while not told.endswith(b"\r\n\r\n"):
            told += tunnel.socket.recv(1)
        assert told.startswith(b"HTTP/1.1 100 ")
        assert tunnel.exchange(body).status == 200
    (received,) = origin.received
    assert received.body == BODY.replace(b"AA", b"A", 1)


def test_a_client_that_offers_http_2_gets_http_1(changing: Mitmdump, origin: RecordingOrigin) -> None:
    """Without `http2=false` both sides would have agreed on HTTP/2."""
    origin.forget()
    context = ssl.create_default_context(cafile=str(changing.certificate))
    context.set_alpn_protocols(["h2", "http/1.1"])
    with Tunnel(changing.port, HOST) as tunnel:
        encrypted = context.wrap_socket(tunnel.socket, server_hostname=HOST)
        tunnel.socket = encrypted
        assert encrypted.selected_alpn_protocol() == "http/1.1"
        assert tunnel.exchange(request(HOST, BODY)).status == 200
    (received,) = origin.received
    assert received.body == BODY.replace(b"AA", b"A", 1)


def test_a_client_that_hangs_up_halfway_harms_nobody(changing: Mitmdump, origin: RecordingOrigin) -> None:
    origin.forget()
    raw = request(HOST, BODY)
    for sent in (raw[:50], raw[:-1], raw):
        with Tunnel(changing.port, HOST) as tunnel:
            tunnel.start_tls(HOST, changing.certificate)
            tunnel.socket.sendall(sent)
    assert exchange(changing.port, HOST, raw, changing.certificate).status == 200
    assert origin.received[-1].body == BODY.replace(b"AA", b"A", 1)
    assert not {received.body for received in origin.received} - {origin.received[-1].body}
    assert "could not reach" not in changing.log()
    assert "Traceback" not in changing.log()


def test_every_request_is_told_of_in_one_line_without_content_or_credentials(
    changing: Mitmdump, origin: RecordingOrigin
) -> None:
    origin.forget()
    exchange(changing.port, HOST, request(HOST, BODY, *HEADERS), changing.certificate)
    exchange(
        changing.port,
        HOST,
        request(HOST, BODY, *HEADERS, path="/openai/deployments/d/chat/completions?api-version=1"),
        changing.certificate,
    )
    size = len(BODY)
    treatment = f"outcome=rewritten tokens_removed=1 set_aside=0 bytes_before={size} bytes_after={size - 1} ms="
    assert changing.logged(f"host={HOST} path=messages {treatment}")
    assert changing.logged(f"host={HOST} path=chat_completions outcome=")
    assert "made-up-key" not in changing.log()
    assert "AAAA" not in changing.log()

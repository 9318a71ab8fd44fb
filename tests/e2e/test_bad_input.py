"""Requests that no client should send, through a real mitmdump: they arrive as they are, and the next one is served.

What may stand in a body is tried by tests/fuzz; here is what only a real proxy shows: framing, encodings, sizes.
"""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard

from compression_engine import restore
from tests.e2e.client import Tunnel, exchange, request
from tests.e2e.conftest import FOUNDRY_HOST, HARNESS
from tests.e2e.mitmdump import ADDON, Mitmdump, wait_for
from tests.e2e.recording_origin import Received, RecordingOrigin

pytestmark = pytest.mark.e2e

LINES = "\n".join(f"{number}\tvalue_{number} = compute({number})" for number in range(1, 60))
MEGABYTE = b" " * (1 << 20)
HALF_A_GIGABYTE = 512  # of them
# What a body that unfolds to that may cost the proxy: what it looks at before it gives up, and some for itself.
MOST_GROWTH = 200_000  # kB


def session(*results: Any, **fields: Any) -> bytes:
    messages: list[Any] = [{"role": "user", "content": "Look."}]
    for number, content in enumerate(results):
        use = {"type": "tool_use", "id": f"toolu_{number}", "name": "Read", "input": {"file_path": "/x/a.py"}}
        block = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": content}
        messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [block]}]
    return json.dumps({"model": "m", "messages": messages, **fields}, separators=(",", ":")).encode()


GOOD = session(LINES, LINES)


@pytest.fixture(scope="module")
def proxy(origin: RecordingOrigin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mitmdump]:
    with Mitmdump(
        tmp_path_factory.mktemp("home"),
        *(ADDON, HARNESS / "to_origin.py"),
        options=origin.options | {"foundry_state_dir": str(tmp_path_factory.mktemp("state"))},
        environment=origin.environment,
    ) as running:
        yield running


_numbers = itertools.count()


def marked(raw: bytes) -> tuple[bytes, bytes]:
    """A request with a mark in its path, and that mark: one that nobody waited for may come late, among others."""
    mark = b"&number=%d " % next(_numbers)
    before, end, after = raw.partition(b"?beta=true ")
    assert end
    return before + end.strip() + mark + after, mark


def found(origin: RecordingOrigin, mark: bytes) -> list[Received]:
    """What has arrived with this mark."""
    return [received for received in origin.received if mark in received.head]


def arrived(proxy: Mitmdump, origin: RecordingOrigin, raw: bytes) -> bytes:
    """The body that arrives of a request; the next one is served as ever, and nothing of ours failed."""
    origin.forget()
    raw, mark = marked(raw)
    assert exchange(proxy.port, FOUNDRY_HOST, raw, proxy.certificate).status == 200
    (received,) = found(origin, mark)
    serves_as_ever(proxy, origin)
    return received.body


def serves_as_ever(proxy: Mitmdump, origin: RecordingOrigin) -> None:
    raw, mark = marked(request(FOUNDRY_HOST, GOOD))
    assert exchange(proxy.port, FOUNDRY_HOST, raw, proxy.certificate).status == 200
    (received,) = found(origin, mark)
    assert len(received.body) < len(GOOD)
    log = proxy.log()
    assert "failed (" not in log, log
    assert f'File "{ADDON.parent}' not in log, log


# Bodies


BODIES = {
    "nothing": b"",
    "no JSON": b"\x00\xff\xfe" * 100,
    "cut": GOOD[:-20],
    "a key twice": GOOD.replace(b'{"model":"m"', b'{"messages":[],"model":"m"'),
    "NaN": GOOD.replace(b'"model":"m"', b'"model":NaN'),
    "other types": b'{"messages":{"role":[]}}',
    "a list": b"[" + GOOD + b"]",
    "depth 10,000": b'{"messages":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "depth 10,000 in a message": b'{"messages":[' + b'{"content":' * 10_000 + b"1" + b"}" * 10_000 + b"]}",
    "depth 10,000 in a tool call": GOOD.replace(b'"/x/a.py"', b"[" * 10_000 + b"]" * 10_000),
    "another charset": GOOD.decode().encode("utf-16"),
    "a mark in front": b"\xef\xbb\xbf" + GOOD,
    "50,000 messages": b'{"messages":['
    + b'{"role":"user","content":"x"},' * 49_999
    + b'{"role":"user","content":"x"}]}',
    "8 MB of brackets": b'{"messages":' + b"[" * 8_000_000,
    "8 MB in one text": session("x" * 8_000_000),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_what_is_no_session_arrives_as_it_came(body: bytes, proxy: Mitmdump, origin: RecordingOrigin) -> None:
    assert arrived(proxy, origin, request(FOUNDRY_HOST, body)) == body


ODD_SESSIONS = {
    "half a surrogate": session(f"\ud800\n{LINES}\n{LINES}", LINES),
    "half a surrogate in a key": GOOD.replace(b'"model"', b'"\\ud800"'),
    "ids twice": GOOD.replace(b"toolu_1", b"toolu_0"),
    "no ids": GOOD.replace(b'"tool_use_id":"toolu_1",', b""),
    "results without calls": GOOD.replace(b'"type":"tool_use"', b'"type":"other"'),
    "wrong types beside": session(LINES, 5, None, {"a": 1}, [1, None, {"type": "text", "text": 5}], LINES),
    "wide spaces": json.dumps(json.loads(GOOD), indent=8).encode(),
}


@pytest.mark.parametrize("body", ODD_SESSIONS.values(), ids=ODD_SESSIONS.keys())
def test_what_is_nearly_a_session_arrives_smaller_and_comes_back(
    body: bytes, proxy: Mitmdump, origin: RecordingOrigin
) -> None:
    smaller = arrived(proxy, origin, request(FOUNDRY_HOST, body))
    assert len(smaller) < len(body)
    assert restore(smaller) == body


def test_a_body_that_is_larger_than_any_service_takes_arrives_as_it_came(
    proxy: Mitmdump, origin: RecordingOrigin
) -> None:
    body = session(LINES, LINES, filler=" " * (64 << 20))
    assert arrived(proxy, origin, request(FOUNDRY_HOST, body)) == body
    assert proxy.local("/api/stats")["unchanged"]["too-large"] == 1


# Encodings


def _compressed(compress: Callable[[bytes], bytes], flush: Callable[[], bytes]) -> bytes:
    return b"".join(compress(MEGABYTE) for _ in range(HALF_A_GIGABYTE)) + flush()


def _gzip() -> bytes:
    compressor = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return _compressed(compressor.compress, compressor.flush)


def _brotli() -> bytes:
    compressor = brotli.Compressor(quality=1)
    return _compressed(compressor.process, compressor.finish)


def _zstd() -> bytes:
    compressor = zstandard.ZstdCompressor().compressobj()
    return _compressed(compressor.compress, compressor.flush)


@pytest.mark.parametrize(("encoding", "make"), [("gzip", _gzip), ("br", _brotli), ("zstd", _zstd)])
def test_a_body_that_unfolds_to_half_a_gigabyte_is_not_unfolded(
    encoding: str, make: Callable[[], bytes], proxy: Mitmdump, origin: RecordingOrigin
) -> None:
    """For a gigabyte mitmproxy took 2.1 GB of memory, and held up all connections for six seconds."""
    bomb = make()
    serves_as_ever(proxy, origin)
    Path(f"/proc/{proxy.pid}/clear_refs").write_text("5")  # larger bodies have gone through before
    before = peak(proxy)
    assert arrived(proxy, origin, request(FOUNDRY_HOST, bomb, f"Content-Encoding: {encoding}")) == bomb
    assert peak(proxy) - before < MOST_GROWTH


def peak(proxy: Mitmdump) -> int:
    """The most memory that the proxy has had since its peak was set back, in kB."""
    status = Path(f"/proc/{proxy.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(GOOD, mtime=0)[:-9]),
        ("gzip", gzip.compress(GOOD, mtime=0) + b"more"),
        ("gzip", gzip.compress(GOOD, mtime=0) + gzip.compress(b"more", mtime=0)),
        ("gzip", GOOD),
        ("zstd", GOOD),
        ("br", GOOD),
        ("deflate", GOOD),
        ("bz2", GOOD),
        ("gzip, br", GOOD),
        ("hex", GOOD.hex().encode()),
    ],
)
def test_an_encoding_that_does_not_hold_arrives_as_it_came(
    encoding: str, body: bytes, proxy: Mitmdump, origin: RecordingOrigin
) -> None:
    assert arrived(proxy, origin, request(FOUNDRY_HOST, body, f"Content-Encoding: {encoding}")) == body


# Framing


def test_chunks_with_extensions_and_trailers_become_the_same_content(proxy: Mitmdump, origin: RecordingOrigin) -> None:
    chunks = [GOOD[at : at + 700] for at in range(0, len(GOOD), 700)]
    framed = b"".join(b"%x;name=value\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    head = request(FOUNDRY_HOST, b"", "Transfer-Encoding: chunked")
    body = as_alone(proxy, origin, head + framed + b"0\r\nX-Trailer: made up\r\n\r\n")
    assert body is None or restore(body) == GOOD


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Content-Length: -1"],
        ["Content-Length: 10, 10"],
        ["Content-Length: 0x10"],
        ["Content-Length: 99999999999999999999"],
        ["Transfer-Encoding: gzip"],
        ["Transfer-Encoding: chunked, chunked"],
        ["Host: two.example"],
        ["X: " + "y" * 100_000],
        ["no colon"],
        ["Content-Encoding: gzip", "Content-Encoding: br"],
        ["Content-Type: application/json; charset=utf-16"],
        ["Expect: nonsense"],
    ],
    ids=lambda headers: headers[0][:40],
)
def test_headers_that_lie_harm_nobody(headers: list[str], proxy: Mitmdump, origin: RecordingOrigin) -> None:
    body = as_alone(proxy, origin, request(FOUNDRY_HOST, GOOD, *headers))
    assert body is None or restore(body) == GOOD


def as_alone(proxy: Mitmdump, origin: RecordingOrigin, raw: bytes) -> bytes | None:
    """The body that arrives, if mitmproxy lets the request through; whatever it says of it, others are served."""
    origin.forget()
    raw, mark = marked(raw)
    with Tunnel(proxy.port, FOUNDRY_HOST) as tunnel:
        tunnel.start_tls(FOUNDRY_HOST, proxy.certificate)
        tunnel.socket.sendall(raw)
        tunnel.socket.settimeout(1.0)
        with contextlib.suppress(OSError):  # also where it waits for more, as it was told
            tunnel.socket.recv(1)
    bodies = [received.body for received in found(origin, mark)]
    serves_as_ever(proxy, origin)
    return bodies[0] if bodies else None


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_body_that_ends_before_its_length_arrives_nowhere(
    share: float, proxy: Mitmdump, origin: RecordingOrigin
) -> None:
    origin.forget()
    raw, mark = marked(request(FOUNDRY_HOST, GOOD))
    head = raw.index(b"\r\n\r\n") + 4
    with Tunnel(proxy.port, FOUNDRY_HOST) as tunnel:
        tunnel.start_tls(FOUNDRY_HOST, proxy.certificate)
        tunnel.socket.sendall(raw[: head + int(share * len(GOOD))])
        serves_as_ever(proxy, origin)
    serves_as_ever(proxy, origin)
    assert not any(mark in whole for whole in origin.heads)


def test_what_follows_a_body_is_the_next_request(proxy: Mitmdump, origin: RecordingOrigin) -> None:
    origin.forget()
    raw, mark = marked(request(FOUNDRY_HOST, GOOD))
    with Tunnel(proxy.port, FOUNDRY_HOST) as tunnel:
        tunnel.start_tls(FOUNDRY_HOST, proxy.certificate)
        assert tunnel.exchange(raw * 2).status == 200
        assert wait_for(lambda: len(found(origin, mark)) == 2)
    assert len({received.body for received in found(origin, mark)}) == 1

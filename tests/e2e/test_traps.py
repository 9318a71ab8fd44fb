"""Each way in which mitmproxy lets an addon harm its client, tried on a real mitmdump.

Every test was seen to fail with the guard taken out; its docstring says what happened then.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from mitmproxy import http
from mitmproxy.io import FlowReader

from tests.e2e.client import Tunnel, exchange, request
from tests.e2e.conftest import FOUNDRY_HOST, HARNESS, Start
from tests.e2e.mitmdump import ADDON, Mitmdump, wait_for
from tests.e2e.recording_origin import Received, RecordingOrigin

pytestmark = pytest.mark.e2e

BODY = b'{"model":"m","messages":[{"role":"user","content":"AAAAAAAAAA"}]}'
SHORTENED = BODY.replace(b"AA", b"A", 1)


def send(proxy: Mitmdump, body: bytes = BODY, *headers: str) -> int:
    return exchange(proxy.port, FOUNDRY_HOST, request(FOUNDRY_HOST, body, *headers), proxy.certificate).status


# Nothing may escape a hook


@pytest.mark.parametrize("error", ["panic", "OptionsError", "CancelledError", "SystemExit", "KeyboardInterrupt"])
def test_what_the_engine_raises_never_reaches_the_client(error: str, start: Start, origin: RecordingOrigin) -> None:
    """Without the guards in EngineWorker._rewrite and the hook, the client waited in vain or lost the connection.

    It waited at a panic (tiktoken's own on a run of blanks, which `except Exception` lets through), an OptionsError and
    a CancelledError; SystemExit and KeyboardInterrupt ended the proxy.
    """
    proxy = start(error)
    assert send(proxy) == 200
    assert send(proxy) == 200
    assert [received.body for received in origin.received] == [BODY, BODY]
    assert proxy.local("/api/stats")["unchanged"] == {"failed": 2}
    assert proxy.log().count("The engine failed (") == 1
    assert "secret" not in proxy.log()


def test_a_megabyte_of_blanks_goes_through_the_engine(start: Start, origin: RecordingOrigin) -> None:
    """With neither the cap on a result's length nor the pieces of tokens.count, tiktoken panicked: `{"failed": 1}`."""
    proxy = start()
    output = "the very same line of a program's output\n" * 200 + "a" + " " * 1_200_000 + "b"
    messages = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": "x"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": output}]},
    ]
    body = json.dumps({"model": "m", "messages": messages}).encode()
    assert send(proxy, body) == 200
    assert len(origin.received[0].body) <= len(body)
    stats = proxy.local("/api/stats")
    assert stats["requests"] == 1
    assert "failed" not in stats["unchanged"]


# Responses


def test_a_stream_reaches_the_client_as_it_comes(start: Start, origin: RecordingOrigin) -> None:
    """Without `flow.response.stream` the first event never came, as the origin waits for its receipt.

    With a function there that raises, mitmproxy logged "mitmproxy has crashed!" for each chunk; the client got nothing.
    """
    arrived = threading.Event()

    def drip(_received: Received, send_bytes: Callable[[bytes], None]) -> None:
        send_bytes(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        send_bytes(b"f\r\nevent: first\n\n\n\r\n")
        if arrived.wait(300):
            send_bytes(b"10\r\nevent: second\n\n\n\r\n0\r\n\r\n")

    origin.answer = drip
    proxy = start("shorten")
    with Tunnel(proxy.port, FOUNDRY_HOST) as tunnel:
        tunnel.start_tls(FOUNDRY_HOST, proxy.certificate)
        tunnel.socket.sendall(request(FOUNDRY_HOST, BODY))
        received = b""
        while b"event: first" not in received:
            received += tunnel.socket.recv(65536)
        arrived.set()
        while b"0\r\n\r\n" not in received:
            received += tunnel.socket.recv(65536)
    assert received.endswith(b"f\r\nevent: first\n\n\n\r\n10\r\nevent: second\n\n\n\r\n0\r\n\r\n")
    assert "crashed" not in proxy.log()


# Options


def test_stream_large_bodies_is_told_of_and_harms_nobody(start: Start, origin: RecordingOrigin) -> None:
    """Without the check for a missing body the engine failed on it, and nothing told the reason."""
    proxy = start("shorten", stream_large_bodies="1k")
    assert "stream_large_bodies=1k: mitmproxy sends larger requests on before this addon sees" in proxy.log()
    body = BODY + b" " * 5000
    assert send(proxy, body) == 200
    assert send(proxy, BODY) == 200
    assert [received.body for received in origin.received] == [body, SHORTENED]
    assert proxy.logged("because stream_large_bodies made mitmproxy send it on")
    assert proxy.local("/api/stats")["unchanged"] == {"streamed": 1}


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (["foundry_mode=fast"], "foundry_mode: 'fast' is not possible; allowed are off, observe, lossless, balanced"),
        (["foundry_mode"], "foundry_mode: '' is not possible; allowed are off, observe, lossless, balanced"),
        (["foundry_mode=off", "foundry_mode=observe"], "foundry_mode: 'off,observe' is not possible"),
        (["foundry_memory_mb=abc"], "foundry_memory_mb: 'abc' is not possible; allowed is a whole number from 1"),
        (
            ["foundry_cache_ttl=2m"],
            "foundry_cache_ttl: '2m' is not possible; allowed are auto, 5m, 1h, a number of seconds",
        ),
        (["foundry_extra_hosts=*.example"], "foundry_extra_hosts: '*.example' is not possible; allowed are host names"),
        (
            ["foundry_mod=off"],
            "foundry_mod: no such option; there are foundry_budget_ms, foundry_cache_ttl, foundry_extra_hosts",
        ),
    ],
)
def test_bad_options_end_mitmdump_with_one_line(given: list[str], line: str, tmp_path: Path) -> None:
    """Without reading options ourselves, mitmdump ran on, silently, with the addon not loaded (no value, two values).

    A plain OptionsError from configure ended it with a traceback; unknown names were never looked at.
    """
    arguments = [part for setting in given for part in ("--set", setting)]
    proxy = Mitmdump(tmp_path, arguments=arguments)
    assert proxy.exit_code() == 1, proxy.log()
    assert proxy.log().count(line) == 1, proxy.log()
    assert "Traceback" not in proxy.log()


def test_options_in_a_configuration_file_may_be_numbers_and_lists(start: Start, tmp_path: Path) -> None:
    """Without turning them into strings mitmproxy refused the number with a traceback."""
    directory = tmp_path / "conf"
    directory.mkdir()
    (directory / "config.yaml").write_text("foundry_memory_mb: 64\nfoundry_extra_hosts: [a.example, b.example]\n")
    proxy = start(None, confdir=str(directory))
    assert proxy.logged("a.example b.example;")
    assert "Traceback" not in proxy.log()


# Encodings, files, replays, reloads


def test_an_unknown_encoding_keeps_its_header(start: Start, origin: RecordingOrigin) -> None:
    """Assigning the content all the same lost the header: the service would have read packed bytes as JSON."""
    proxy = start("shorten")
    assert send(proxy, BODY, "Content-Encoding: snappy") == 200
    assert ("Content-Encoding", "snappy") in origin.received[0].headers
    assert origin.received[0].body == BODY
    assert proxy.logged("its content encoding cannot be read: 'snappy'")
    assert proxy.local("/api/stats")["unchanged"] == {"unreadable-encoding": 1}


def _save(start: Start, file: Path) -> http.HTTPFlow:
    proxy = start("shorten", save_stream_file=str(file), store_streamed_bodies="true")
    assert send(proxy) == 200
    proxy.stop()
    assert f"save_stream_file={file}: that file will hold the API keys" in proxy.log()
    with file.open("rb") as stream:
        flows = [flow for flow in FlowReader(stream).stream() if isinstance(flow, http.HTTPFlow)]
    (flow,) = (flow for flow in flows if flow.request.method == "POST")
    return flow


def test_a_saved_flow_holds_what_was_sent_and_no_second_body(start: Start, tmp_path: Path) -> None:
    """With `flow.backup()` before the rewrite, or the old body in flow.metadata, the file held both bodies."""
    file = tmp_path / "flows"
    assert _save(start, file).request.content == SHORTENED
    assert BODY not in file.read_bytes()


def test_a_replayed_request_goes_out_as_it_was_sent(start: Start, origin: RecordingOrigin, tmp_path: Path) -> None:
    """Without the look at `is_replay` the stub, which is not idempotent, took another byte away."""
    file = tmp_path / "flows"
    _save(start, file)
    origin.forget()
    start("shorten", "--client-replay", str(file), keepserving="true")
    assert wait_for(lambda: origin.received)
    assert [received.body for received in origin.received] == [SHORTENED]


def test_a_replayed_response_is_found_and_answers(start: Start, origin: RecordingOrigin, tmp_path: Path) -> None:
    """Saved flows hold the rewritten body, so the request is found again only once it is rewritten."""
    file = tmp_path / "flows"
    _save(start, file)
    origin.forget()
    proxy = start("shorten", "--server-replay", str(file))
    assert send(proxy) == 200
    assert origin.received == []


def test_flows_read_from_a_file_are_left_alone(start: Start, tmp_path: Path) -> None:
    """Without the look at `flow.live` and `flow.response` reading the file back counted a request."""
    file = tmp_path / "flows"
    _save(start, file)
    proxy = start("shorten", "--rfile", str(file), keepserving="true")
    assert proxy.logged("/anthropic/v1/messages")
    assert proxy.local("/api/stats")["requests"] == 0


def test_the_addon_works_on_after_a_reload(origin: RecordingOrigin, tmp_path: Path) -> None:
    """With an async done() mitmproxy could not unload the old copy, and the new one never came."""
    addons = tmp_path / "addons"
    shutil.copytree(ADDON.parent, addons, ignore=shutil.ignore_patterns("__pycache__"))
    origin.forget()
    with Mitmdump(
        tmp_path,
        *(addons / ADDON.name, HARNESS / "engine_stub.py", HARNESS / "to_origin.py"),
        options=origin.options,
        environment=origin.environment | {"ENGINE_STUB": "shorten"},
    ) as proxy:
        assert send(proxy) == 200
        (addons / ADDON.name).touch()
        assert wait_for(lambda: proxy.log().count("Foundry Compress 0.1.0: mode balanced") == 2)
        assert send(proxy) == 200
        assert [received.body for received in origin.received] == [SHORTENED, SHORTENED]
        assert "Traceback" not in proxy.log()

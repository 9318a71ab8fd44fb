"""The real Claude Code in Foundry mode, through a real mitmdump with the addon, against the stand-in."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from compression_engine import tokens
from compression_engine.reminders import up_to_the_last
from demo.answers import Answer, Refusal, bad_request, overloaded, rate_limited, unauthorized
from demo.stand_in import Request
from tests.e2e.claude_code import NEEDS_CLIENT, STREAMS, Drip
from tests.e2e.file_origin import FileOrigin
from tests.e2e.laws import Exchange, messages_exchanges, verify
from tests.e2e.mitmdump import free_port, wait_for
from tests.e2e.route import route
from tests.e2e.scripted import bash, session, sub_agents

pytestmark = [pytest.mark.e2e, NEEDS_CLIENT]


def test_a_session_keeps_every_law_and_gets_smaller(tmp_path: Path, work: Path) -> None:
    script = session(work)
    with route(script, tmp_path / "route") as way:
        run = way.client(work).run("Rename the twelfth item.")
        found = way.exchanges()

    assert (run.code, run.out) == (0, "The session is over.\n"), run.err
    assert [exchange.arrived.turn for exchange in messages_exchanges(found)] == list(range(len(script)))
    assert all(exchange.arrived.header("x-api-key") == "made-up-key" for exchange in found)
    verify(found)

    last = messages_exchanges(found)[-1]
    assert (work / "inventory.py").read_text().count("price_of_azure_item_12") == 1
    assert sum(result.is_error for result in last.results) == 2
    _assert_smaller(last, 0.6)
    _assert_rewritten(last, "grep -rn", lambda text: "orders.py:" in text)
    _assert_rewritten(last, "first Read", lambda text: text.startswith("1\t") and "price_of_blue_item_12" in text)
    _assert_rewritten(last, "Read after the Edit", lambda text: text.startswith("1\t") and "azure_item_12" in text)
    _assert_rewritten(last, "progress", lambda text: "\rBuilding" in text)
    _assert_rewritten(last, "repeated lines", lambda text: text.count("WARN the queue is full") == 80)
    assert any("<system-reminder>" in result.arrived and result.arrived != result.sent for result in last.results)


def test_a_request_with_nothing_to_compress_arrives_byte_identical(tmp_path: Path, work: Path) -> None:
    with route([Answer(("Hello.",))], tmp_path / "route") as way:
        run = way.client(work).run("Say hello.")
        found = way.exchanges()

    assert (run.code, run.out) == (0, "Hello.\n"), run.err
    _assert_identical(found)


def test_observe_mode_changes_no_byte(tmp_path: Path, work: Path) -> None:
    with route(session(work), tmp_path / "route", foundry_mode="observe") as way:
        run = way.client(work).run("Rename the twelfth item.")
        found = way.exchanges()

    assert run.code == 0, run.err
    assert len(found) >= len(session(work))
    _assert_identical(found)


def test_a_slow_stream_reaches_the_client_as_it_drips(tmp_path: Path, work: Path) -> None:
    text = " ".join(f"word{number}" for number in range(60))
    with route([Answer((text,), pause=1.0)], tmp_path / "route") as way:
        way.stand_in._server.stopping = drip = Drip()
        run = way.client(work).run("Talk.", *STREAMS, tells=drip.tells)

    assert run.code == 0, run.err
    partial = [event["event"] for event in map(json.loads, run.out.splitlines()) if event["type"] == "stream_event"]
    deltas = [event["delta"]["text"] for event in partial if event["type"] == "content_block_delta"]
    assert "".join(deltas) == text
    assert drip.pauses > len(deltas) > 8
    assert not drip.is_held_back


def test_sub_agents_keep_every_law(tmp_path: Path, work: Path) -> None:
    with route(sub_agents(work), tmp_path / "route") as way:
        run = way.client(work).run("Ask for help.")
        found = way.exchanges()

    assert (run.code, run.said) == (0, {"The session is over."}), run.err
    assert len({exchange.conversation for exchange in found}) == 3
    verify(found)
    last = {exchange.conversation: exchange for exchange in messages_exchanges(found)}
    for exchange in last.values():
        _assert_smaller(exchange)


def test_a_resumed_session_keeps_its_prefix(tmp_path: Path, work: Path) -> None:
    script = session(work)
    with route(script, tmp_path / "route") as way:
        first = way.client(work).run("Rename the twelfth item.")
        before = len(way.stand_in.requests)
        second = way.client(work).run("Is it done?", "-c")
        found = way.exchanges()

    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert second.out == "Done.\n"
    resumed = messages_exchanges(found[before:])[0]
    assert resumed.arrived.turn == len(script)
    assert len({exchange.conversation for exchange in found}) == 1
    verify(found)
    _assert_smaller(resumed)


def test_a_custom_deployment_name_keeps_every_law(tmp_path: Path, work: Path) -> None:
    with route(session(work), tmp_path / "route") as way:
        run = way.client(work, model="our-own-deployment").run("Rename the twelfth item.")
        found = way.exchanges()

    assert run.code == 0, run.err
    last = messages_exchanges(found)[-1]
    assert last.arrived.json["model"] == "our-own-deployment"
    assert "system" in {message["role"] for message in last.sent_messages}
    verify(found)
    _assert_smaller(last)


@pytest.mark.parametrize(
    ("refusal", "times"),
    [
        pytest.param(bad_request("messages.0: made-up complaint"), 99, id="400"),
        pytest.param(unauthorized(), 99, id="401"),
        pytest.param(rate_limited(), 1, id="429 then an answer"),
        pytest.param(rate_limited(), 99, id="429 for good"),
        pytest.param(overloaded(), 1, id="529 then an answer"),
        pytest.param(overloaded(), 99, id="529 for good"),
    ],
)
def test_the_client_sees_an_error_as_without_the_addon(
    tmp_path: Path, work: Path, refusal: Refusal, times: int
) -> None:
    seen = []
    for addon in (False, True):
        directory = tmp_path / f"route-{addon}"
        with route(_refusing(refusal, times), directory, addon=addon) as way:
            run = way.client(work, CLAUDE_CODE_MAX_RETRIES="1").run("Hello?", "--output-format", "json")
            told = json.loads(run.out)
            seen.append((run.code, run.err, told["is_error"], told["result"], len(way.stand_in.requests)))

    without, with_addon = seen
    assert with_addon == without
    assert without[2] is (times > 1)


@pytest.mark.parametrize("program", ["curl", "git", "pip", "npm"])
def test_commands_in_bash_see_the_origins_own_certificate(tmp_path: Path, work: Path, program: str) -> None:
    with FileOrigin(tmp_path / "origin") as server, route(_commands(program, server), tmp_path / "route") as way:
        run = way.client(work).run("Fetch it.")
        found, tunnels = way.exchanges(), way.tunnels()

    assert run.code == 0, run.err
    assert "code=0" in found[-1].results[-1].sent, found[-1].results[-1].sent
    assert server.paths
    assert server.authority in tunnels


def test_commands_in_bash_reach_loopback_past_the_proxy_where_no_proxy_says_so(tmp_path: Path, work: Path) -> None:
    with FileOrigin(tmp_path / "origin") as server, route(_commands("curl", server), tmp_path / "route") as way:
        run = way.client(work, NO_PROXY="localhost,127.0.0.1").run("Fetch it.")
        found, tunnels = way.exchanges(), way.tunnels()

    assert run.code == 0, run.err
    assert "code=0" in found[-1].results[-1].sent, found[-1].results[-1].sent
    assert server.paths
    assert tunnels
    assert server.authority not in tunnels


def test_a_server_started_in_bash_outlives_client_and_proxy(tmp_path: Path, work: Path) -> None:
    port = free_port()
    command = f"nohup {sys.executable} -m http.server {port} --bind 127.0.0.1 >/dev/null 2>&1 & echo pid=$!"
    with route([Answer((bash(command),))], tmp_path / "route") as way:
        run = way.client(work).run("Start a server.")
        found = way.exchanges()

    pid = int(up_to_the_last(found[-1].results[-1].sent).partition("pid=")[2])
    try:
        assert run.code == 0, run.err
        assert b"inventory.py" in _fetched(port)
    finally:
        os.kill(pid, signal.SIGTERM)


def _commands(program: str, server: FileOrigin) -> list[Answer]:
    """Have the client's Bash fetch something from `server` with `program`, which trusts that server only."""
    pip = next((found for found in ("pip", "pip3", "python3 -m pip") if _runs(f"{found} --version")), "pip")
    line = {
        "curl": "curl -sS --cacert {ca} https://{authority}/hello.txt",
        "git": "GIT_SSL_CAINFO={ca} git ls-remote https://{authority}/repository.git",
        "pip": pip + " --isolated download --disable-pip-version-check --no-cache-dir --no-deps --cert {ca}"
        " --index-url https://{authority}/simple/ made-up-package",
        "npm": "npm ping --registry https://{authority}/ --cafile {ca}",
    }[program].format(ca=server.ca_path, authority=server.authority)
    if not _runs(f"{pip if program == 'pip' else program} --version"):
        pytest.skip(f"{program} does not run here")
    return [Answer((bash(f"{line} 2>&1; echo code=$?"),))]


def _runs(command: str) -> bool:
    return subprocess.run(["sh", "-c", command], check=False, capture_output=True).returncode == 0


def _fetched(port: int) -> bytes:
    """The first page of the server at `port`, which may still be starting."""
    found = b""

    def has_come() -> bool:
        nonlocal found
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            found = b"".join(iter(lambda: connection.recv(65536), b""))
        return bool(found)

    assert wait_for(has_come, 120)
    return found


def _refusing(refusal: Refusal, times: int) -> Callable[[Request], Answer | Refusal]:
    """Refuse the first `times` requests."""
    asked = Counter[str]()

    def answer(_: Request) -> Answer | Refusal:
        asked["requests"] += 1
        return refusal if asked["requests"] <= times else Answer(("Hello.",))

    return answer


def _assert_identical(found: list[Exchange]) -> None:
    assert found
    for exchange in found:
        assert exchange.arrived.body == exchange.sent
        assert exchange.arrived.headers == exchange.sent_headers


def _assert_smaller(exchange: Exchange, ratio: float = 1.0) -> None:
    before = sum(tokens.count(result.sent) for result in exchange.results)
    after = sum(tokens.count(result.arrived) for result in exchange.results)
    assert after < ratio * before


def _assert_rewritten(exchange: Exchange, what: str, is_it: Callable[[str], bool]) -> None:
    results = [result for result in exchange.results if is_it(result.sent)]
    assert results, f"the session had no result of this kind: {what}"
    for result in results:
        assert len(result.arrived) < len(result.sent), f"not rewritten: {what}"

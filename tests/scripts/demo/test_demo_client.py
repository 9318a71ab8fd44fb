from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from demo import client
from demo.answers import Answer, ToolUse, message
from demo.client import Connection, hold_session, main
from demo.conversation import CONVERSATION

SECONDS = 120


class _Stub:
    """In the place of a connection: answers at once, and keeps what it is asked."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = answers
        self.bodies: list[bytes] = []

    def post(self, body: bytes) -> tuple[tuple[tuple[str, str], ...], list[dict[str, Any]]]:
        self.bodies.append(body)
        return (), message(self._answers[len(self.bodies) - 1], body, {})["content"]


def held(stub: _Stub, directory: Path) -> list[client.Sent]:
    (directory / "project").symlink_to(Path(__file__).resolve().parents[3])
    return hold_session(cast("Connection", stub), directory)


def test_the_session_goes_on_until_nothing_is_asked_for(tmp_path: Path) -> None:
    sent = held(_Stub(*CONVERSATION), tmp_path)
    assert len(sent) == len(CONVERSATION)
    assert sent[0].news == "the question"
    assert sent[2].news == "Read project/scripts/demo/stand_in.py"


def test_earlier_messages_stay_and_the_mark_moves(tmp_path: Path) -> None:
    stub = _Stub(*CONVERSATION)
    held(stub, tmp_path)
    for earlier, later in zip(stub.bodies, stub.bodies[1:], strict=False):
        before = earlier.replace(b',"cache_control":{"type":"ephemeral"}', b"")
        assert later.startswith(before.partition(b'],"system":')[0])
    for body in stub.bodies:
        assert body.count(b'"cache_control"') == 1
        assert json.dumps(json.loads(body), ensure_ascii=False, separators=(",", ":")).encode() == body


def test_it_does_nothing_that_the_demo_does_not_ask_for(tmp_path: Path) -> None:
    stub = _Stub(Answer((ToolUse("Bash", {"command": "touch made-by-a-stranger"}),)))
    with pytest.raises(ValueError, match="does not do"):
        held(stub, tmp_path)
    assert not (tmp_path / "made-by-a-stranger").exists()


def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    assert main() == 1
    assert "HTTPS_PROXY" in capsys.readouterr().err


def test_a_dead_proxy_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import certifi  # noqa: PLC0415

    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", certifi.where())
    monkeypatch.setenv("ANTHROPIC_FOUNDRY_RESOURCE", "made-up")
    monkeypatch.setenv("ANTHROPIC_FOUNDRY_API_KEY", "made-up")
    monkeypatch.setenv("DEMO_STAND_IN_PORT", "9")
    assert main() == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_ended_early_it_leaves_nothing_and_shows_no_traceback(tmp_path: Path, number: signal.Signals) -> None:
    import certifi  # noqa: PLC0415

    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip(f"{number.name} is ignored here, as under nohup, and stays so in what is started")
    scripts = Path(client.__file__).resolve().parents[1]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        variables = {
            "PYTHONPATH": f"{scripts}{os.pathsep}{scripts.parent / 'addons'}",
            "TMPDIR": str(tmp_path),
            "HTTPS_PROXY": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "NODE_EXTRA_CA_CERTS": certifi.where(),
            "ANTHROPIC_FOUNDRY_RESOURCE": "made-up",
            "ANTHROPIC_FOUNDRY_API_KEY": "made-up",
            "DEMO_STAND_IN_PORT": "9",
        }
        argv = [sys.executable, "-m", "demo.client"]
        with subprocess.Popen(argv, env=os.environ | variables, stderr=subprocess.PIPE, text=True) as process:
            silent.settimeout(SECONDS)
            connection, _ = silent.accept()  # now it waits for the proxy's answer
            with connection:
                assert list(tmp_path.iterdir())
                process.send_signal(number)
                _, said = process.communicate(timeout=SECONDS)
    assert (process.returncode, said) == (128 + number, "")
    assert list(tmp_path.iterdir()) == []

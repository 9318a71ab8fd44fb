from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from doctor_checks.proxy import Kind
from launcher.errors import LauncherError
from service_units import manager, trial
from service_units.description import Service
from tests.e2e.mitmdump import free_port
from tests.scripts.doctor_checks.machine import saying, speaking

BODY = b'{"addon": "foundry_compress", "version": "9", "mode": "off"}'
READY = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


def test_who_answers() -> None:
    with speaking(saying(READY)) as port:
        seen = trial.answer_at(port)
        assert (seen.kind, seen.said, seen.mode) == (Kind.ADDON, "9", "off")
        assert trial.wait_for_answer(port, 30) == seen
        assert trial.is_taken(port)
    assert trial.answer_at(free_port()).kind is Kind.SILENT


def test_waiting_ends() -> None:
    port = free_port()
    assert trial.wait_for_answer(port, 0).kind is Kind.SILENT
    assert trial.wait_for_answer(port, 600, lambda: True).kind is Kind.SILENT


def test_a_port_is_free_again_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        server.accept()[0].close()  # lets the connection wait for its end on this side
        client.close()
        assert trial.is_taken(port)
    assert not trial.is_taken(port)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (
            "import sys; print('[12:00:00.000] foundry_mode: what is wrong'); print('Error logged during startup')",
            "foundry_mode: what is wrong",
        ),
        ("", "without a word"),
    ],
)
def test_what_does_not_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, says: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(code)
    monkeypatch.setattr(Service, "arguments_with", lambda _self, port: [sys.executable, str(program), str(port)])
    with pytest.raises(LauncherError, match=f"nothing was installed: {says}$"):
        trial.try_out(Service(8787), {})


def test_what_a_command_answers() -> None:
    asked = manager.ask([sys.executable, "-c", "import sys; print('out'); sys.exit('one\\nlast')"])
    assert (asked.code, asked.out, asked.last_line) == (1, "out\n", "last")
    assert manager.Asked(3, "", "").last_line == "it ended with 3"
    with pytest.raises(LauncherError, match="no-such-program is not here"):
        manager.ask(["no-such-program"])

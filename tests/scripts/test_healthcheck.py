from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import healthcheck_body
from team_gateway import own_user
from team_gateway.own_user import OwnUser


class _Proxy(BaseHTTPRequestHandler):
    status = 200
    said: bytes = b""
    asked: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["Proxy-Authorization"]))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.said)))
        self.end_headers()
        self.wfile.write(self.said)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Proxy]]:
    """A proxy that is process 7 as far as the check knows."""
    handler = type("Handler", (_Proxy,), {"asked": []})
    monkeypatch.setenv(own_user.FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(healthcheck_body, "_SECONDS", 60.0)  # it answers in this process, which may have to wait
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        own_user.put(tmp_path, OwnUser("127.0.0.1", server.server_port, "own", "secret", 7), "")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield handler
        server.shutdown()
        thread.join()


def ready(**facts: object) -> bytes:
    return json.dumps({"addon": "foundry_compress", "pid": 7, **facts}).encode()


def test_the_addon_in_the_process_that_was_started_is_well(
    proxy: type[_Proxy], capsys: pytest.CaptureFixture[str]
) -> None:
    proxy.said = ready()
    assert healthcheck_body.main() == 0
    assert capsys.readouterr().out == "healthcheck: the addon answers\n"
    assert proxy.asked == [("http://foundry.local/ready", OwnUser("", 0, "own", "secret", 7).authorization)]


@pytest.mark.parametrize(
    ("status", "said", "problem"),
    [
        (407, b"", "answers 407"),
        (502, b"", "answers 502"),
        (200, b"<html>", "not one with the addon"),
        (200, b"[]", "not one with the addon"),
        (200, ready(addon="other"), "not one with the addon"),
        (200, ready(pid=8), "another proxy"),
    ],
)
def test_whatever_else_answers_is_told_of(
    proxy: type[_Proxy], capsys: pytest.CaptureFixture[str], status: int, said: bytes, problem: str
) -> None:
    proxy.status, proxy.said = status, said
    assert healthcheck_body.main() == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert problem in printed.err
    assert printed.err.count("\n") == 1


def test_where_nothing_listens_or_was_started_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(own_user.FOLDER_VARIABLE, str(tmp_path))
    assert healthcheck_body.main() == 1
    assert "was not started here" in capsys.readouterr().err
    own_user.put(tmp_path, OwnUser("127.0.0.1", 1, "own", "secret", 7), "")  # a port that nobody uses
    assert healthcheck_body.main() == 1
    assert "nothing answers at port 1" in capsys.readouterr().err

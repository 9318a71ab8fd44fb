from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from team_gateway import own_user
from team_gateway.own_user import OwnUser
from tests.e2e.mitmdump import free_port

BODY_SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "mode_body.py"


class _Proxy(BaseHTTPRequestHandler):
    """Answers as the addon does."""

    asked: list[tuple[str, str, str, bytes]]

    def do_GET(self) -> None:
        if self.headers["Proxy-Authorization"] == "Basic YW5uYTp3cm9uZw==":  # anna:wrong
            self._answer(407, b"<html>")
            return
        self._answer(200, b'{"addon": "foundry_compress", "mode": "balanced"}')

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        token = self.headers.get("Authorization", "")
        self.asked.append((self.command, self.path, token, body))
        if token == "Bearer right":
            self._answer(200, b'{"message": "Off, then."}')
        else:
            self._answer(403, b"The token is not the one that was printed.\n")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""


@pytest.fixture
def asked() -> list[tuple[str, str, str, bytes]]:
    return []


@pytest.fixture
def proxy(asked: list[tuple[str, str, str, bytes]]) -> Iterator[str]:
    handler = type("Handler", (_Proxy,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def mode(
    *arguments: str, proxy: str = "", token: str = "right", gateway: Path = Path("/nonexistent")
) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")}
    environment |= {"HTTPS_PROXY": proxy, "FOUNDRY_COMPRESS_TOKEN": token, own_user.FOLDER_VARIABLE: str(gateway)}
    return subprocess.run(
        [sys.executable, "-I", str(BODY_SCRIPT), *arguments],
        capture_output=True,
        env=environment,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_shows_the_mode(proxy: str) -> None:
    done = mode(proxy=proxy)
    assert (done.returncode, done.stdout) == (0, "balanced\n")


def test_a_name_and_a_password_go_with_the_address(proxy: str) -> None:
    done = mode(proxy=proxy.replace("//", "//anna:wrong@"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "--proxy http://NAME:PASSWORD@HOST:PORT" in done.stderr
    assert mode(proxy=proxy.replace("//", "//anna:right@")).stdout == "balanced\n"


def test_the_gateway_that_was_started_here_is_asked_if_no_other_is_named(proxy: str, tmp_path: Path) -> None:
    own_user.put(tmp_path, OwnUser("127.0.0.1", int(proxy.rpartition(":")[2]), "own", "secret", 7), "")
    done = mode(gateway=tmp_path)
    assert (done.returncode, done.stdout) == (0, "balanced\n")


def test_it_changes_the_mode_with_the_token(proxy: str, asked: list[tuple[str, str, str, bytes]]) -> None:
    done = mode("off", "--now", proxy=proxy)
    assert (done.returncode, done.stdout) == (0, "Off, then.\n")
    assert asked == [("POST", "http://foundry.local/api/mode", "Bearer right", b'{"mode": "off", "now": true}')]


def test_the_proxy_may_be_named(proxy: str) -> None:
    assert mode("--proxy", proxy.removeprefix("http://")).stdout == "balanced\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["off"], "The token is not the one"), (["lossless", "--now"], "--now goes with off only")],
)
def test_what_is_refused_is_said_in_a_line(arguments: list[str], words: str, proxy: str) -> None:
    done = mode(*arguments, proxy=proxy, token="wrong")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert words in done.stderr


def test_no_proxy_is_said_in_a_line() -> None:
    assert "which proxy?" in mode().stderr
    done = mode("off", proxy=f"http://127.0.0.1:{free_port()}")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "no proxy answers at" in done.stderr

"""docs/gateway.md, as its readers would use it; what follows from it is in test_scale_out."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from compression_engine import restore
from team_gateway import users
from tests.conversations.redis_server import NEEDS_REDIS, RedisServer
from tests.e2e.conftest import FOUNDRY_HOST, HARNESS
from tests.e2e.mitmdump import PROJECT, free_port, inherited, wait_for
from tests.e2e.recording_origin import RecordingOrigin
from tests.e2e.replicas import Talk
from tests.e2e.snippets import blocks, snippet

pytestmark = pytest.mark.e2e

PAGE = "docs/gateway.md"
START_SECONDS = 180.0
STOP_SECONDS = 60.0
PASSWORD = users.new_password()


@NEEDS_REDIS
def test_the_proxies_of_one_machine_start_as_the_page_says_and_remember_together(
    tmp_path: Path, origin: RecordingOrigin
) -> None:
    ports = free_port(), free_port()
    (tmp_path / "users").write_text(users.line_for("anna", PASSWORD) + "\n")
    environment = inherited() | {
        **origin.environment,
        "FOUNDRY_GATEWAY_USERS_FILE": str(tmp_path / "users"),
        "FOUNDRY_COMPRESS_CONFDIR": str(tmp_path / "ca"),
        "FOUNDRY_COMPRESS_STATE_DIR": str(tmp_path / "state"),
    }
    with RedisServer(password=users.new_password()) as redis_server:
        (tmp_path / "redis_url").write_text(redis_server.on_port.value)
        code = snippet(
            PAGE,
            "sh",
            replacing={
                "10.0.0.11": "127.0.0.1",
                "/run/secrets/redis_url": str(tmp_path / "redis_url"),
                "/run/foundry": str(tmp_path / "run"),
                "8081": str(ports[0]),
                "8082": str(ports[1]),
                "scripts/gateway": f"scripts/gateway -s {HARNESS / 'patient.py'} -s {HARNESS / 'to_origin.py'} "
                f"--set ssl_verify_upstream_trusted_ca={origin.certificate}",
            },
        )
        with started(code, environment, tmp_path / "log"):
            for number in (1, 2):
                asked = environment | {"FOUNDRY_GATEWAY_RUN_DIR": str(tmp_path / "run" / str(number))}
                healthy = wait_for(lambda asked=asked: is_healthy(asked), START_SECONDS)  # type: ignore[misc]
                assert healthy, (tmp_path / "log").read_text()
            talk = Talk(1)
            for port in ports:
                talk.turns += 4
                assert status(port, talk.body(), tmp_path / "ca" / "mitmproxy-ca-cert.pem") == 200
                assert len(origin.received[-1].body) < len(talk.body())
                assert restore(origin.received[-1].body) == talk.body()
        assert redis_server.tell("DBSIZE") != ":0"
    first, second = (received.body for received in origin.received)
    assert second.startswith(first.removesuffix(b"]}")), "the other went on from what one had sent"


@contextmanager
def started(code: str, environment: dict[str, str], log: Path) -> Iterator[None]:
    """Have a shell in the project's folder run `code`, and end it and all that it started with the `with` block."""
    with log.open("wb") as output:
        shell = subprocess.Popen(
            ["sh", "-euc", f"trap \"trap '' TERM; kill 0; wait\" TERM\n{code}\nwait"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=PROJECT,
            env=environment,
            start_new_session=True,
        )
    try:
        yield
    finally:
        shell.terminate()
        try:
            shell.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(shell.pid, signal.SIGKILL)
            raise


def is_healthy(environment: dict[str, str]) -> bool:
    command = [str(PROJECT / "scripts" / "healthcheck")]
    return subprocess.run(command, capture_output=True, env=environment, timeout=60, check=False).returncode == 0


def status(port: int, body: bytes, certificate: Path) -> int:
    """What Foundry answers to anna, through the proxy at `port`."""
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({"https": f"http://anna:{PASSWORD}@127.0.0.1:{port}"}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(certificate))),
    )
    request = urllib.request.Request(
        f"https://{FOUNDRY_HOST}/anthropic/v1/messages", body, {"Content-Type": "application/json"}
    )
    with opener.open(request, timeout=60) as answer:
        return int(answer.status)


def test_there_is_no_block_on_the_page_that_is_not_tried() -> None:
    """That for nginx is in test_scale_out."""
    found = [block.language for block in blocks((PROJECT / PAGE).read_text(encoding="utf-8"))]
    assert found == ["sh", "nginx"]

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from free_port import free_port
from launcher.proxy_users import parse_ps, proxy_users

ADDRESS = f"http://127.0.0.1:{free_port()}"  # of no other process: these tests may run twice at once


@pytest.fixture
def user() -> Iterator[subprocess.Popen[bytes]]:
    code = "print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], env={"HTTPS_PROXY": ADDRESS}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        yield process
        process.kill()


def test_finds_the_process_and_only_for_its_address(user: subprocess.Popen[bytes]) -> None:
    assert list(proxy_users(ADDRESS)) == [user.pid]
    assert "python" in proxy_users(ADDRESS)[user.pid]
    assert proxy_users(ADDRESS + "1") == {}
    user.kill()
    user.wait()
    assert proxy_users(ADDRESS) == {}


def test_listing_of_ps() -> None:
    listing = (
        f"  12 /usr/local/bin/node server.js PATH=/bin HTTPS_PROXY={ADDRESS} HOME=/x\n"
        f"13 node a HTTPS_PROXY={ADDRESS}\n"
        f"14 node a HTTPS_PROXY={ADDRESS}23 X=1\n"
        f"15 node a NOT_HTTPS_PROXY={ADDRESS}\n"
        "\n"
    )
    assert list(parse_ps(listing, ADDRESS)) == [(12, "node"), (13, "node")]

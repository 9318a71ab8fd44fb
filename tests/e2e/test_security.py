"""What docs/security.md claims of the running proxy, tried by somebody who means harm."""

from __future__ import annotations

import base64
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.client import plain, request
from tests.e2e.conftest import FOUNDRY_HOST, HARNESS, OTHER_HOSTS
from tests.e2e.mitmdump import ADDON, Mitmdump, free_port, wait_for
from tests.e2e.mitmweb import ask, web_options
from tests.e2e.recording_origin import RecordingOrigin

pytestmark = pytest.mark.e2e

PASSWORD = "name:planted"
AUTHORIZATION = f"Proxy-Authorization: Basic {base64.b64encode(PASSWORD.encode()).decode()}"


def address_for_others() -> str:
    """An address of this machine that is not loopback; connecting a datagram socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        return str(probe.getsockname()[0])


def get(address: str, port: int, *headers: str, target: str = "http://foundry.local/ready") -> int:
    """The status that the proxy at `address` answers with; 0 if it hangs up without an answer, -1 if nobody listens."""
    raw = "\r\n".join([f"GET {target} HTTP/1.1", "Host: foundry.local", *headers]).encode() + b"\r\n\r\n"
    try:
        connection = socket.create_connection((address, port), timeout=60)
    except ConnectionRefusedError:
        return -1
    with connection:
        try:
            connection.sendall(raw)
            answer = connection.recv(1000)
        except ConnectionError:
            return 0
        return int(answer.split()[1]) if answer else 0


# Where it listens


@pytest.mark.parametrize(
    ("options", "arguments", "remedy"),
    [
        ({"listen_host": "0.0.0.0"}, (), "set proxyauth to @FILE"),
        ({"proxyauth": "any"}, ("--mode", "regular@0.0.0.0:{port}"), "proxyauth=any takes every password"),
        ({"listen_host": None}, ("--mode", "reverse:https://made-up.openai.azure.com@0.0.0.0:{port}"), "set proxyauth"),
    ],
)
def test_beyond_loopback_it_does_not_start_without_a_password(
    options: dict[str, str | None], arguments: tuple[str, ...], remedy: str, tmp_path: Path
) -> None:
    given = [part.format(port=free_port()) for part in arguments]
    proxy = Mitmdump(tmp_path, options=options, arguments=given)
    assert proxy.exit_code() == 1
    (line,) = (line for line in proxy.log().splitlines() if "would listen on" in line)
    assert remedy in line
    assert "Traceback" not in proxy.log()


def test_with_a_password_it_serves_others_who_give_it(tmp_path: Path) -> None:
    """As in a container, where it has to listen on every interface."""
    proxy = Mitmdump(tmp_path, options={"listen_host": "0.0.0.0", "proxyauth": PASSWORD})
    with proxy.launched():
        assert proxy.logged("mode balanced")
        address = address_for_others()
        assert get(address, proxy.port) == 407
        assert get(address, proxy.port, AUTHORIZATION) == 200
        assert get(address, proxy.port, AUTHORIZATION.replace("Basic ", "Basic x")) == 407
        assert get(address, proxy.port, target="http://other.example/") == 407
        connect = b"CONNECT made-up.openai.azure.com:443 HTTP/1.1\r\nHost: made-up.openai.azure.com:443\r\n\r\n"
        assert plain(proxy.port, connect).status == 407  # loopback is no exception
        assert PASSWORD.partition(":")[2] not in proxy.log()


def test_in_reverse_mode_the_password_is_asked_for_as_well(tmp_path: Path) -> None:
    mode = f"reverse:http://127.0.0.1:{free_port()}"  # where nobody listens
    options: dict[str, str | None] = {"listen_host": "0.0.0.0", "proxyauth": PASSWORD}
    options["connection_strategy"] = "lazy"  # else it connects to where nobody listens before it asks
    proxy = Mitmdump(tmp_path, options=options, arguments=["--mode", mode])
    with proxy.launched():
        assert proxy.logged("mode balanced")
        address = address_for_others()
        assert get(address, proxy.port, target="/") == 401
        assert get(address, proxy.port, AUTHORIZATION, target="/") == 401  # here it is a server's, not a proxy's
        assert get(address, proxy.port, AUTHORIZATION.removeprefix("Proxy-"), target="/") == 502


@pytest.mark.parametrize(("host", "mode"), [(FOUNDRY_HOST, "off"), (OTHER_HOSTS[0], "balanced")])
def test_in_reverse_mode_what_is_handed_on_undecrypted_needs_no_password(
    host: str, mode: str, origin: RecordingOrigin, tmp_path: Path
) -> None:
    """It reaches that one target, whatever host it names, which shows its own certificate."""
    origin.forget()
    scripts = (ADDON, HARNESS / "to_origin.py")
    options = {**origin.options, "proxyauth": PASSWORD, "foundry_mode": mode}
    proxy = Mitmdump(
        tmp_path,
        *scripts,
        options=options,
        arguments=["--mode", f"reverse:https://{host}"],
        environment=origin.environment,
    )
    with proxy.launched():
        assert proxy.logged(f"mode {mode}")
        trusting = ssl.create_default_context(cafile=str(origin.certificate))
        with (
            socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as connection,
            trusting.wrap_socket(connection, server_hostname=host) as encrypted,
        ):
            encrypted.sendall(request(host, b"{}"))
            assert encrypted.recv(100).startswith(b"HTTP/1.1 200 ")
    assert len(origin.received) == 1


def test_socks_asks_for_the_password_as_well(tmp_path: Path) -> None:
    name, _, password = PASSWORD.partition(":")
    given = bytes([1, len(name)]) + name.encode() + bytes([len(password)]) + password.encode()
    wrong = given[:-1] + b"x"
    options: dict[str, str | None] = {"listen_host": "0.0.0.0", "proxyauth": PASSWORD}
    proxy = Mitmdump(tmp_path, options=options, arguments=["--mode", "socks5"])
    with proxy.launched():
        assert proxy.logged("mode balanced")
        for said, answers in (
            ([b"\5\1\0"], [b"\5\xff"]),  # without one
            ([b"\5\1\2", wrong], [b"\5\2", b"\1\1"]),
            ([b"\5\1\2", given], [b"\5\2", b"\1\0"]),
        ):
            with socket.create_connection((address_for_others(), proxy.port), timeout=60) as connection:
                for one, answer in zip(said, answers, strict=True):
                    connection.sendall(one)
                    assert connection.recv(100)[:2] == answer


def test_the_password_goes_no_further(origin: RecordingOrigin, tmp_path: Path) -> None:
    origin.forget()
    options = {**origin.options, "proxyauth": PASSWORD}
    scripts = (ADDON, HARNESS / "to_origin.py")
    proxy = Mitmdump(tmp_path, *scripts, options=options, environment=origin.environment)
    with proxy.launched():
        assert proxy.logged("mode balanced")
        raw = request("other.example", b"{}", AUTHORIZATION, path="http://other.example/")
        assert plain(proxy.port, raw).status == 200
    (received,) = origin.received
    assert "proxy-authorization" not in {name.lower() for name, _ in received.headers}


def test_a_change_that_would_open_it_is_undone(tmp_path: Path) -> None:
    port, other = free_port(), free_port()
    options: dict[str, str | None] = {"termlog_verbosity": "debug", **web_options(port)}
    with Mitmdump(tmp_path, options=options, program="mitmweb") as proxy:
        address = address_for_others()

        def change(name: str, *value: str) -> Any:
            return ask(port, "/commands/set", {"arguments": [name, *value]})

        for name, value in (("listen_host", "0.0.0.0"), ("mode", f"regular@0.0.0.0:{other}")):
            before = ask(port, "/options")[name]["value"]
            assert "set proxyauth" in change(name, value)["error"]
            assert ask(port, "/options")[name]["value"] == before
        assert wait_for(lambda: get("127.0.0.1", proxy.port) == 200)
        assert [get(address, there) for there in (proxy.port, other)] == [-1, -1]


@pytest.mark.parametrize("is_known", [True, False])
def test_who_comes_while_it_starts_is_not_served(tmp_path: Path, *, is_known: bool) -> None:
    """mitmproxy opens its port on every interface before it loads scripts, if nobody gave it an address."""
    answer = tmp_path / "answer"
    variables = {"EARLY_FROM": "127.0.0.1" if is_known else address_for_others(), "EARLY_ANSWER": str(answer)}
    scripts = (HARNESS / "early_client.py", ADDON)
    options = {"listen_host": None, "listen_port": "0"}  # of one port some systems hold on to what was just closed
    proxy = Mitmdump(tmp_path, *scripts, options=options, environment=variables)
    with proxy.launched():
        assert proxy.logged("mode balanced")
        assert proxy.logged("listening at 127.0.0.1:")
        assert answer.read_bytes()[:12] == (b"HTTP/1.1 200" if is_known else b"")
        assert ("client kill connection" in proxy.log()) is not is_known


# What a page in a browser can do, which can send requests to any port under any name


@pytest.mark.parametrize("form", ["/", "http://127.1:{port}/"])
def test_a_name_that_leads_to_the_proxy_itself_makes_no_circle(form: str, tmp_path: Path) -> None:
    """One such request made thousands of connections within seconds; mitmproxy knows 127.0.0.1 and localhost only."""
    with Mitmdump(tmp_path) as proxy:
        raw = f"GET {form.format(port=proxy.port)} HTTP/1.1\r\nHost: 127.1:{proxy.port}\r\n\r\n"
        assert plain(proxy.port, raw.encode()).status == 508
        assert proxy.log().count("server connect 127.1:") == 1


# mitmweb, which shows everything


def test_mitmweb_answers_nobody_without_its_password(tmp_path: Path) -> None:
    """Nor a page that was led there by a name of its own: what it has no password for it cannot read."""
    port = free_port()
    options: dict[str, str | None] = {"web_open_browser": "false", "web_port": str(port), "web_host": "0.0.0.0"}
    with Mitmdump(tmp_path, options=options, program="mitmweb") as proxy:
        for path in ("/flows", "/options", "/state", "/flows/dump", "/"):
            for host in ("127.0.0.1", "evil.example"):
                raw = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
                assert plain(port, raw.encode()).status == 403, path
        assert proxy.log().count("web_host=0.0.0.0: mitmweb shows every request") == 1

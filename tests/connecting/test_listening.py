from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.addons import next_layer, proxyauth, proxyserver
from mitmproxy.exceptions import OptionsError
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.test import taddons, tflow

from connecting.listening import Listening, exposed, is_loopback

FILE = "@/etc/htpasswd"  # never read here: options are set past the addons that would


@pytest.fixture
def context() -> Iterator[taddons.context]:
    with taddons.context(proxyserver.Proxyserver(), next_layer.NextLayer(), proxyauth.ProxyAuth()) as tctx:
        yield tctx


def lines(context: taddons.context, **options: object) -> list[str]:
    """What is said of the options, which are set without a word to anybody."""
    for name, value in options.items():
        context.options._options[name].value = value
    return list(exposed(context.options))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.2", "127.255.255.254", "::1", "::ffff:127.0.0.1", "localhost", "0:0::1"]
)
def test_what_only_this_machine_reaches(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        *("", "0.0.0.0", "::", "192.0.2.1", "10.0.0.1", "::ffff:0.0.0.0", "::ffff:192.0.2.1", "fe80::1%eth0", "::2"),
        *("localhost.example", "LOCALHOST", "my-machine", "[::1]", "127.1", "127.0.0.1 ", "127.0.0.1\n", "0x7f.1"),
    ],
)
def test_what_others_may_reach(host: str) -> None:
    assert not is_loopback(host)


@given(st.ip_addresses(v=4).map(str), st.sampled_from(["", "::ffff:"]))
def test_of_all_addresses_only_those_that_begin_with_127(address: str, prefix: str) -> None:
    assert is_loopback(prefix + address) == address.startswith("127.")


@pytest.mark.parametrize("mode", ["regular", "upstream:http://proxy.example:3128", "socks5", "transparent", "dns"])
def test_on_loopback_nothing_is_asked(context: taddons.context, mode: str) -> None:
    assert lines(context, listen_host="127.0.0.1", mode=[mode]) == []
    assert lines(context, listen_host="::1", mode=[mode]) == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "my-machine", None])
@pytest.mark.parametrize(
    "mode", ["regular", "upstream:http://proxy.example:3128", "socks5", "reverse:https://made-up.openai.azure.com"]
)
def test_beyond_it_a_password_is_wanted(context: taddons.context, host: str | None, mode: str) -> None:
    (line,) = lines(context, listen_host=host, mode=[mode])
    assert f"would listen on {host or 'every interface'} (mode {mode.partition(':')[0]})" in line
    assert "set proxyauth to @FILE" in line
    assert "listen on 127.0.0.1" in line
    assert lines(context, proxyauth=FILE) == []
    assert lines(context, proxyauth="name:password") == []


def test_a_password_that_is_any_is_none(context: taddons.context) -> None:
    (line,) = lines(context, listen_host="0.0.0.0", proxyauth="any")
    assert "proxyauth=any takes every password" in line
    assert lines(context, listen_host="127.0.0.1") == []


@pytest.mark.parametrize(
    ("mode", "host"),
    [
        ("regular@0.0.0.0:8080", "0.0.0.0"),
        ("regular@:::8080", "::"),
        ("reverse:https://made-up.openai.azure.com@192.0.2.1:443", "192.0.2.1"),
        ("socks5@my-machine:1080", "my-machine"),
        ("regular@:8080", "every interface"),
    ],
)
def test_a_mode_can_name_its_own_address(context: taddons.context, mode: str, host: str) -> None:
    (line,) = lines(context, listen_host="127.0.0.1", mode=["regular", mode])
    assert f"would listen on {host} (" in line


def test_a_mode_on_loopback_is_not_held_to_listen_host(context: taddons.context) -> None:
    assert lines(context, listen_host="0.0.0.0", mode=["regular@127.0.0.1:8080", "socks5@::1:1080"]) == []
    assert len(lines(context, mode=["regular@127.0.0.1:8080", "socks5@1080"])) == 1


@pytest.mark.parametrize("mode", ["transparent", "dns", "reverse:tcp://other.example:22", "reverse:dns://192.0.2.53"])
def test_where_no_password_is_asked_for_none_helps(context: taddons.context, mode: str) -> None:
    (line,) = lines(context, listen_host="0.0.0.0", mode=[mode], proxyauth=FILE)
    assert "mitmproxy asks for no password in this mode" in line
    assert "set proxyauth" not in line


@pytest.mark.parametrize("mode", ["local", "local:curl", "wireguard", "tun"])
def test_modes_without_an_address_that_anybody_can_reach(context: taddons.context, mode: str) -> None:
    assert lines(context, listen_host="0.0.0.0", mode=[mode]) == []


def test_a_proxy_that_does_not_listen_is_nobodys(context: taddons.context) -> None:
    assert lines(context, listen_host="0.0.0.0", server=False) == []
    assert len(lines(context, server=True)) == 1


def test_what_mitmproxy_refuses_itself_is_left_to_it(context: taddons.context) -> None:
    assert lines(context, listen_host="0.0.0.0", mode=["no-such-mode"]) == []


def test_a_host_cannot_write_to_the_terminal(context: taddons.context) -> None:
    (line,) = lines(context, listen_host="\x1b[2J\nx")
    assert line.isprintable()


def test_at_start_it_is_an_error_which_ends_mitmproxy(
    context: taddons.context, caplog: pytest.LogCaptureFixture
) -> None:
    context.master.addons.add(Listening())
    context.options.update(listen_host="0.0.0.0")
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is None
    caplog.clear()
    context.options.update(proxyauth="name:password")
    assert caplog.records == []


def test_later_the_change_is_undone(context: taddons.context) -> None:
    listening = Listening()
    context.master.addons.add(listening)
    context.options.update(listen_host="127.0.0.1")
    listening.running()
    for change in ({"listen_host": "0.0.0.0"}, {"listen_host": ""}, {"mode": ["regular@0.0.0.0:8080"]}):
        before = {name: getattr(context.options, name) for name in change}
        with pytest.raises(OptionsError, match="set proxyauth"):
            context.options.update(**change)
        assert {name: getattr(context.options, name) for name in change} == before
    context.options.update(proxyauth="name:password")
    context.options.update(listen_host="0.0.0.0")
    for worse in ("any", None):
        with pytest.raises(OptionsError, match="set proxyauth"):
            context.options.update(proxyauth=worse)
        assert context.options.proxyauth == "name:password"


def comes_in(here: str, mode: str = "regular") -> bool:
    """Whether a client that came to the address `here` is served."""
    client = tflow.tclient_conn()
    client.sockname = (here, 8080)
    client.proxy_mode = ProxyMode.parse(mode)
    Listening().client_connected(client)
    return client.error is None


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("mode", ["regular", "socks5", "dns", "reverse:tcp://other.example:22"])
def test_whoever_gets_in_all_the_same_is_not_served(mode: str) -> None:
    assert comes_in("127.0.0.1", mode)
    assert comes_in("::1", mode)
    assert not comes_in("192.0.2.1", mode)
    assert not comes_in("", mode)


def test_who_is_asked_for_a_password_is_served(context: taddons.context) -> None:
    lines(context, proxyauth=FILE)
    assert comes_in("192.0.2.1")
    assert not comes_in("192.0.2.1", "dns")


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("mode", ["transparent", "local", "wireguard", "tun"])
def test_where_clients_are_redirected_the_address_says_nothing(mode: str) -> None:
    assert comes_in("192.0.2.1", mode)


@pytest.mark.usefixtures("context")
def test_a_client_without_an_address_is_not_served() -> None:
    client = tflow.tclient_conn()
    client.sockname = None  # type: ignore[assignment]  # mitmproxy has it so for some clients
    Listening().client_connected(client)
    assert client.error


# What comes from the proxy itself

OWN_PORT = 8080


@pytest.fixture
def listening(context: taddons.context, monkeypatch: pytest.MonkeyPatch) -> Listening:
    server = context.master.addons.get("proxyserver")
    monkeypatch.setattr(server, "listen_addrs", lambda: [("127.0.0.1", OWN_PORT)])
    return Listening()


def connection(port: int, here: tuple[str, int] | None = ("127.0.0.1", 50_000)) -> ServerConnectionHookData:
    """A connection of the proxy's to a server on `port`, from `here`."""
    server = tflow.tserver_conn()
    server.peername, server.sockname = ("127.0.0.1", port), here
    return ServerConnectionHookData(client=tflow.tclient_conn(), server=server)


def answer_to(listening: Listening, *peer: object) -> int | None:
    """The status with which a request from `peer` is answered; None if it is let through."""
    flow = tflow.tflow()
    flow.client_conn.peername = peer  # type: ignore[assignment]  # some have no address
    listening.requestheaders(flow)
    return flow.response.status_code if flow.response else None


def test_a_request_that_the_proxy_has_sent_to_itself_goes_no_further(listening: Listening) -> None:
    assert answer_to(listening, "127.0.0.1", 50_000) is None
    listening.server_connected(data := connection(OWN_PORT))
    assert answer_to(listening, "127.0.0.1", 50_000) == 508
    assert answer_to(listening, "127.0.0.1", 50_001) is None
    assert answer_to(listening, "192.0.2.1", 50_000) is None
    assert answer_to(listening) is None
    listening.server_disconnected(data)
    assert answer_to(listening, "127.0.0.1", 50_000) is None


@pytest.mark.parametrize(("mode", "told"), [("reverse:https://made-up.openai.azure.com", 1), ("regular", 0)])
def test_a_client_of_reverse_mode_that_comes_through_the_proxy_is_told_of_no_proxy(
    mode: str, told: int, listening: Listening, caplog: pytest.LogCaptureFixture
) -> None:
    listening.server_connected(connection(OWN_PORT))
    for _ in range(2):
        flow = tflow.tflow()
        flow.client_conn.peername = ("127.0.0.1", 50_000)
        flow.client_conn.proxy_mode = ProxyMode.parse(mode)
        listening.requestheaders(flow)
    assert caplog.text.count("NO_PROXY must name") == told


def test_addresses_of_ipv6_are_known_by_host_and_port(listening: Listening) -> None:
    listening.server_connected(connection(OWN_PORT, ("::1", 50_000, 0, 0)))  # type: ignore[arg-type]  # asyncio's form
    assert answer_to(listening, "::1", 50_000, 0, 0) == 508


def test_connections_to_other_ports_are_not_noted(listening: Listening) -> None:
    listening.server_connected(connection(443))
    listening.server_connected(connection(OWN_PORT, None))
    listening.server_disconnected(connection(OWN_PORT, None))
    assert answer_to(listening, "127.0.0.1", 50_000) is None


def test_a_mitmproxy_that_does_not_listen_has_no_circle() -> None:
    with taddons.context():
        listening = Listening()
        listening.server_connected(connection(OWN_PORT))
        assert answer_to(listening, "127.0.0.1", 50_000) is None

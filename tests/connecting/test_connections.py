from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from mitmproxy import ctx, http
from mitmproxy.addons import tlsconfig
from mitmproxy.flow import Error
from mitmproxy.options import Options
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import TCPLayer
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import taddons, tflow, tutils

from connecting.arrivals import Arrivals
from connecting.connections import Connections
from host_rules import Scope
from notices import Notices

HOST = "made-up.services.ai.azure.com"
OTHER = "other.example"


class _Tested:
    """The hooks, whose arrivals can be asked about."""

    def __init__(self) -> None:
        notices = Notices()
        self.looks_in = True
        self.arrivals = Arrivals(notices, lambda: True, lambda: "HTTPS_PROXY=http://127.0.0.1:8080")
        self.scope = Scope()
        self.hooks = Connections(notices, self.arrivals, lambda: self.scope, lambda: self.looks_in)


@pytest.fixture
async def tested(tmp_path: Path, options_with_authority: Callable[[Path], Options]) -> AsyncIterator[_Tested]:
    """The hooks, beside the part of mitmproxy that makes certificates."""
    with taddons.context(tlsconfig.TlsConfig(), options=options_with_authority(tmp_path)) as tctx:
        tctx.options.update(confdir=str(tmp_path))  # which is when the authority is read
        one = _Tested()
        yield one
        one.arrivals.stop()


def _context(sni: str | None, address: tuple[str, int] | None, mode: str = "regular") -> Context:
    context = Context(tflow.tclient_conn(), ctx.options)
    context.client.sni = sni
    context.client.proxy_mode = ProxyMode.parse(mode)
    context.server.address = address
    return context


def _hello(tested: _Tested, sni: str | None, address: tuple[str, int] | None, mode: str = "regular") -> bool:
    """Whether a connection with this ClientHello is looked into."""
    data = SimpleNamespace(context=_context(sni, address, mode), ignore_connection=False)
    tested.hooks.tls_clienthello(data)  # type: ignore[arg-type]
    return not data.ignore_connection


def _connect(host: str) -> http.HTTPFlow:
    flow = tflow.tflow(req=tutils.treq(host=host, method=b"CONNECT"))
    flow.client_conn.proxy_mode = ProxyMode.parse("regular")
    return flow


async def test_which_connections_are_looked_into(tested: _Tested) -> None:
    assert _hello(tested, HOST, ("192.0.2.1", 443))
    assert _hello(tested, None, (HOST, 443))
    assert _hello(tested, "localhost", (HOST, 443), f"reverse:https://{HOST}")
    assert _hello(tested, "localhost", None)  # TLS to the proxy itself
    assert not _hello(tested, OTHER, (HOST, 443))
    assert not _hello(tested, None, (OTHER, 443))
    tested.looks_in = False
    assert not _hello(tested, HOST, (HOST, 443))


async def test_a_provider_in_a_region_that_is_not_named_is_tunnelled_and_told_of_once(
    tested: _Tested, caplog: pytest.LogCaptureFixture
) -> None:
    host = "us-new9-aiplatform.googleapis.com"
    assert not _hello(tested, host, (host, 443))
    assert caplog.text == ""
    tested.scope = Scope(providers=("vertex",))
    for _ in range(2):
        assert not _hello(tested, host, (host, 443))
    assert caplog.text.count("treated once vertex:us-new9 stands in foundry_providers") == 1
    tested.scope = Scope(providers=("vertex", "vertex:us-new9"))
    assert _hello(tested, host, (host, 443))


async def test_a_connection_is_tunnelled_when_its_certificate_cannot_be_made(
    tested: _Tested, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("connecting.leaf_certificate.prepare", lambda *_: 1 / 0)
    assert not _hello(tested, HOST, (HOST, 443))
    assert "tls_clienthello failed (ZeroDivisionError at test_connections.py:" in caplog.text


@pytest.mark.parametrize(
    ("mode", "address", "sni", "sent", "tunnelled"),
    [
        ("regular", (OTHER, 22), None, b"SSH-2.0", True),
        ("upstream:http://proxy.example:8080", (OTHER, 22), None, b"", True),
        ("regular", (OTHER, 443), None, b"\x16\x03\x01", False),
        ("regular", (HOST, 443), None, b"GET / HTTP/1.1", False),
        ("regular", ("192.0.2.1", 443), HOST, b"POST /", False),  # within TLS that is looked into
        ("regular", None, None, b"GET http://", False),
        (f"reverse:https://{OTHER}", (OTHER, 443), None, b"GET /", False),
    ],
)
async def test_what_is_not_tls_is_tunnelled_to_other_hosts(  # noqa: PLR0913, PLR0917 - a table of examples
    mode: str,
    address: tuple[str, int] | None,
    sni: str | None,
    sent: bytes,
    tunnelled: bool,
    tested: _Tested,
) -> None:
    nextlayer = SimpleNamespace(context=_context(sni, address, mode), layer=None, data_client=lambda: sent)
    tested.hooks.next_layer(nextlayer)  # type: ignore[arg-type]
    assert isinstance(nextlayer.layer, TCPLayer) is tunnelled


@pytest.mark.parametrize(
    ("host", "error", "told"),
    [
        (HOST, "tlsv1 alert unknown ca", True),
        (HOST, "OpenSSL Error([('SSL routines', '', 'ssl/tls alert certificate unknown')])", True),
        (HOST, "connection closed", True),
        (HOST, "OpenSSL Error([('SSL routines', '', 'unsupported protocol')])", False),
        (HOST, None, False),
        (OTHER, "tlsv1 alert unknown ca", False),
    ],
)
async def test_a_client_that_refuses_our_certificate(
    host: str,
    error: str | None,
    told: bool,
    tested: _Tested,
    caplog: pytest.LogCaptureFixture,
) -> None:
    context = _context(host, (host, 443))
    context.client.error = error
    tested.hooks.tls_failed_client(SimpleNamespace(context=context, conn=context.client))  # type: ignore[arg-type]
    assert ("NODE_EXTRA_CA_CERTS" in caplog.text) is told


@pytest.mark.parametrize(
    ("host", "upstream", "error", "told"),
    [
        (HOST, "Connect call failed", "Connect call failed", "Connect call failed"),
        (HOST, None, "Upstream proxy p.example:80 refused HTTP CONNECT request: 407", "Upstream proxy p.example:80"),
        (HOST, None, "Client disconnected.", None),
        (OTHER, "Connect call failed", "Connect call failed", None),
    ],
)
async def test_a_foundry_that_cannot_be_reached(  # noqa: PLR0913, PLR0917 - a table of examples
    host: str,
    upstream: str | None,
    error: str,
    told: str | None,
    tested: _Tested,
    caplog: pytest.LogCaptureFixture,
) -> None:
    flow = _connect(host)
    flow.error = Error(error)
    flow.server_conn.error = upstream
    tested.hooks.http_connect_error(flow)
    tested.hooks.look_for_upstream_error(flow, host)  # as the request's hook does
    assert caplog.text.count("could not reach") == (told is not None)
    assert told is None or f"could not reach {host}: {told}" in caplog.text


@pytest.mark.parametrize(
    ("mode", "error", "told"),
    [
        (f"reverse:https://{HOST}", "Connect call failed", True),
        (f"reverse:https://{HOST}", None, False),
        (f"reverse:https://{OTHER}", "Connect call failed", False),
        ("regular", "Connect call failed", False),  # here an error of the tunnel or the request tells of it
    ],
)
async def test_a_foundry_that_reverse_mode_cannot_reach(
    mode: str, error: str | None, told: bool, tested: _Tested, caplog: pytest.LogCaptureFixture
) -> None:
    context = _context(None, (HOST, 443), mode)
    context.server.error = error
    data = SimpleNamespace(client=context.client, server=context.server)
    tested.hooks.server_connect_error(data)  # type: ignore[arg-type]
    assert (f"could not reach {HOST}: Connect call failed" in caplog.text) is told


async def test_a_tunnel_that_was_not_opened_shows_that_the_client_comes_here(
    tested: _Tested, caplog: pytest.LogCaptureFixture
) -> None:
    tested.hooks.http_connect(_connect(HOST))
    tested.arrivals.nobody_came()
    assert "Nothing has come through" not in caplog.text


async def test_no_tunnel_to_foundry_local_is_opened(tested: _Tested) -> None:
    local, other = _connect("foundry.local"), _connect(OTHER)
    tested.hooks.http_connect(local)
    tested.hooks.http_connect(other)
    assert local.response is not None
    assert other.response is None


async def test_a_failure_in_any_hook_stays_in_it(tested: _Tested, caplog: pytest.LogCaptureFixture) -> None:
    hooks = tested.hooks
    for hook in (
        hooks.http_connect,
        hooks.http_connect_error,
        hooks.tls_failed_client,
        hooks.next_layer,
        hooks.server_connect_error,
    ):
        hook(None)  # type: ignore[arg-type]
    assert [record.getMessage().split()[0] for record in caplog.records] == [
        "http_connect",
        "http_connect_error",
        "tls_failed_client",
        "next_layer",
        "server_connect_error",
    ]

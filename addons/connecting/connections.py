"""The hooks of connections: whose are looked into, and what is said of those that fail."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from mitmproxy import ctx, http, tls
from mitmproxy.proxy import layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import TCPLayer
from mitmproxy.proxy.mode_specs import RegularMode, ReverseMode, UpstreamMode
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

import host_rules
from connecting import leaf_certificate
from connecting.arrivals import Arrivals
from fail_open import fail_open
from host_rules import Scope
from local_site import forbid_connect, is_local_host
from notices import Notices

__all__ = ["CLIENT_LEFT", "Connections"]

CLIENT_LEFT = "Client disconnected."
"""mitmproxy's word for it."""


class Connections:
    """An addon of its own.

    `scope` says whose connections are ours to look into, `looks_in` whether that is done now.
    """

    def __init__(
        self,
        notices: Notices,
        arrivals: Arrivals,
        scope: Callable[[], Scope],
        looks_in: Callable[[], bool],
    ) -> None:
        self._notices = notices
        self._arrivals = arrivals
        self._scope = scope
        self._looks_in = looks_in

    def http_connect(self, flow: http.HTTPFlow) -> None:
        """Keep tunnels to foundry.local from being opened upstream."""
        with self._fail_open("http_connect"):
            if is_local_host(flow.request.host):
                forbid_connect(flow)
            elif self._in_scope(flow.request.host):
                self._arrivals.foundry()  # even if no connection comes of it

    def http_connect_error(self, flow: http.HTTPFlow) -> None:
        """Say why a tunnel to Foundry was not opened."""
        with self._fail_open("http_connect_error"):
            self.look_for_upstream_error(flow, flow.request.host)

    def server_connect_error(self, data: ServerConnectionHookData) -> None:
        """Say why Foundry cannot be reached in reverse mode, where mitmproxy hangs up before there is a request."""
        with self._fail_open("server_connect_error"):
            mode = data.client.proxy_mode
            if isinstance(mode, ReverseMode) and data.server.error and self._in_scope(mode.address[0]):
                self._notices.foundry_out_of_reach(host_rules.normalise_host(mode.address[0]), data.server.error)

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        """Pass on what is not TLS in tunnels to other hosts, without a look at what it is."""
        with self._fail_open("next_layer"):
            context = nextlayer.context
            in_tunnel = isinstance(context.client.proxy_mode, RegularMode | UpstreamMode) and context.server.address
            if nextlayer.layer or not in_tunnel or self._in_scope(_destination(context)):
                return
            if not nextlayer.data_client().startswith(b"\x16"):  # TLS goes on to tls_clienthello
                nextlayer.layer = TCPLayer(context, ignore=True)
                self._arrivals.other()

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        """Tunnel, without decrypting it, every connection that is not Foundry's."""
        look_into = False
        with self._fail_open("tls_clienthello"):
            if data.context.server.address is None:
                return  # the client speaks TLS to the proxy itself; where it wants to go comes inside
            host = _destination(data.context)
            if self._in_scope(host) and self._looks_in():
                leaf_certificate.prepare(ctx.master, host)
                self._arrivals.foundry()
                look_into = True
            else:
                self._arrivals.other()
                if lacking := self._scope().region_lacking(host):
                    self._notices.region_not_named(host_rules.normalise_host(host), lacking)
        if not look_into:
            data.ignore_connection = True

    def tls_failed_client(self, data: tls.TlsData) -> None:
        """Say which variable a client lacks that does not accept our certificate."""
        with self._fail_open("tls_failed_client"):
            host, error = _destination(data.context), data.conn.error or ""
            refused = "certificate" in error or "unknown ca" in error or error == "connection closed"
            if refused and self._in_scope(host):
                self._notices.client_refuses_certificate(host, error)

    def look_for_upstream_error(self, flow: http.HTTPFlow, host: str) -> None:
        """Say why a request, or a tunnel, did not get to `host`, if that is Foundry's."""
        # Of flow.error only what was said before there was a connection: a client that hangs up is nothing to report.
        said = flow.error.msg if flow.error and flow.error.msg != CLIENT_LEFT else ""
        unreached = said.startswith("Upstream proxy ") or not flow.server_conn.timestamp_tcp_setup
        error = flow.server_conn.error or (said if unreached else "")
        if error and self._in_scope(host):
            self._notices.foundry_out_of_reach(host_rules.normalise_host(host), error)

    def _in_scope(self, host: str) -> bool:
        return self._scope().includes(host)

    def _fail_open(self, hook: str) -> AbstractContextManager[None]:
        return fail_open(self._notices, hook)


def _destination(context: Context) -> str:
    """The host that a connection is for: the name that TLS asks for, else the one that the proxy was asked for."""
    if isinstance(context.client.proxy_mode, ReverseMode):
        return context.client.proxy_mode.address[0]
    address = context.server.address
    return context.client.sni or (address[0] if address else "")

"""Where this proxy may listen, and who may come: nobody from another machine without a password, and not itself.

mitmproxy serves whoever can reach it and connects to whatever they name. On loopback these are the programs of this
machine; beyond it, that is an open proxy. So an address beyond loopback needs `proxyauth`, in a mode where mitmproxy
asks for it. Without that mitmproxy ends at its start, and a later change is undone; whoever comes meanwhile is not
served.

Any page in a browser can send a request to a port on loopback, under a name of its own that leads there. mitmproxy
would connect to that name, which is itself, and again, without end: so a request that has come from here goes no
further.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterator
from http import HTTPStatus

from mitmproxy import ctx, http
from mitmproxy.connection import Client
from mitmproxy.exceptions import OptionsError
from mitmproxy.master import Master
from mitmproxy.optmanager import OptManager
from mitmproxy.proxy.mode_specs import (
    LocalMode,
    ProxyMode,
    RegularMode,
    ReverseMode,
    Socks5Mode,
    TransparentMode,
    TunMode,
    UpstreamMode,
    WireGuardMode,
)
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

__all__ = ["Listening", "exposed", "is_loopback"]

logger = logging.getLogger("foundry_compress")

_OPTIONS = frozenset({"listen_host", "mode", "proxyauth", "server"})
_OPEN_TO_ALL = "any"  # this proxyauth takes every name and password
_ON_NO_ADDRESS = (LocalMode, TunMode, WireGuardMode)  # or, WireGuard, for those who have its key
_REDIRECTED = (*_ON_NO_ADDRESS, TransparentMode)  # where a client's address here is the one that it wanted to reach
_REVERSE_TO_HTTP = ("http", "https", "http3")


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine reach `host`, an address or a name; an empty one is every interface.

    No name but `localhost` counts: where a name leads can change.
    """
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def exposed(options: OptManager) -> Iterator[str]:
    """One line with the remedy for each mode in which everybody who can reach the proxy would be served."""
    if not options.server:
        return
    for spec in options.mode:
        try:
            mode = ProxyMode.parse(spec)
        except ValueError:
            continue  # mitmproxy refuses it itself
        host = mode.listen_host(options.listen_host)
        if isinstance(mode, _ON_NO_ADDRESS) or is_loopback(host) or _asks_for_a_password(mode, options):
            continue
        yield (
            f"The proxy would listen on {ascii(host)[1:-1] or 'every interface'} (mode {mode.type_name}) and serve "
            f"everybody who can reach it: {_remedy(mode, options)}"
        )


def _remedy(mode: ProxyMode, options: OptManager) -> str:
    on_loopback = "listen on 127.0.0.1 (listen_host, or behind the @ of the mode)"
    if not _can_ask(mode):
        return f"mitmproxy asks for no password in this mode, so {on_loopback}"
    wanted = "set proxyauth to @FILE, an htpasswd file, or to NAME:PASSWORD"
    if _value(options, "proxyauth") == _OPEN_TO_ALL:
        wanted = f"proxyauth={_OPEN_TO_ALL} takes every password; {wanted}"
    return f"{wanted}, or {on_loopback}"


def _asks_for_a_password(mode: ProxyMode, options: OptManager) -> bool:
    return _can_ask(mode) and _value(options, "proxyauth") not in (None, "", _OPEN_TO_ALL)


def _can_ask(mode: ProxyMode) -> bool:
    """Whether mitmproxy asks for `proxyauth` in this mode."""
    if isinstance(mode, ReverseMode):
        return mode.scheme in _REVERSE_TO_HTTP
    return isinstance(mode, RegularMode | UpstreamMode | Socks5Mode)


def _value(options: OptManager, name: str) -> object:
    return getattr(options, name) if name in options else None


def _ports(master: Master) -> set[int]:
    """The ports on which this process listens."""
    proxyserver = master.addons.get("proxyserver")
    return {address[1] for address in proxyserver.listen_addrs()} if proxyserver else set()


class Listening:
    """An addon of its own."""

    def __init__(self) -> None:
        self._is_running = False
        self._from_here: set[tuple[str, int]] = set()  # where connections to our own ports come from
        self._has_told_of_no_proxy = False

    def configure(self, updated: set[str]) -> None:
        """End mitmproxy at its start if it would serve everybody; later, undo the change."""
        if not updated & _OPTIONS:
            return
        for line in exposed(ctx.options):
            if self._is_running:
                raise OptionsError(line)
            logger.error(line)  # which ends mitmproxy at its start, without a traceback

    def running(self) -> None:
        """From here on a change is refused."""
        self._is_running = True

    def client_connected(self, client: Client) -> None:
        """Hang up on who comes from elsewhere and would be asked for no password.

        Sockets are open for moments in which they should not be: mitmproxy opens them before scripts are loaded, and
        before a change is refused.
        """
        mode = client.proxy_mode
        if isinstance(mode, _REDIRECTED) or _asks_for_a_password(mode, ctx.options):
            return
        if not is_loopback(client.sockname[0] if client.sockname else ""):
            client.error = "came from another machine and was asked for no password"

    def server_connected(self, data: ServerConnectionHookData) -> None:
        """Note a connection that may lead back here."""
        there, here = data.server.peername, data.server.sockname
        if there and here and there[1] in _ports(ctx.master):
            self._from_here.add((here[0], here[1]))

    def server_disconnected(self, data: ServerConnectionHookData) -> None:
        """Forget it."""
        if here := data.server.sockname:
            self._from_here.discard((here[0], here[1]))

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Answer what this proxy has sent to itself."""
        came_from = flow.client_conn.peername
        if self._from_here and came_from and (came_from[0], came_from[1]) in self._from_here:
            flow.response = http.Response.make(
                HTTPStatus.LOOP_DETECTED, b"This name leads to the proxy itself.\n", {"Content-Type": "text/plain"}
            )
            if isinstance(flow.client_conn.proxy_mode, ReverseMode) and not self._has_told_of_no_proxy:
                self._has_told_of_no_proxy = True
                logger.warning(
                    "A client came to the address of reverse mode through this proxy, and is not served so: its "
                    "NO_PROXY must name that address's host"
                )

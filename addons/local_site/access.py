"""Who may ask the site, and who may change something through it.

The agent's own commands run with the proxy's variables, so they can read the site. What changes something needs a
token that the person who started the proxy was shown, and the agent was not.
"""

from __future__ import annotations

import hmac
import ipaddress
import time
import urllib.parse
from collections.abc import Callable
from http import HTTPStatus

from mitmproxy import http

import host_rules

__all__ = ["HOST", "Guard", "Refusal", "check", "forbid_connect", "is_local_host", "plain"]

HOST = "foundry.local"
"""No such host exists; a request to it never leaves the proxy."""

_MOST_FAILURES = 20
_PAUSE_SECONDS = 60.0


class Refusal(Exception):  # noqa: N818 - it is an answer
    """A request is not answered as it wants; `status` is HTTP's, the message one line for who asked."""

    def __init__(self, status: HTTPStatus, line: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(line)
        self.status = status
        self.headers = headers or {}


def is_local_host(host: str) -> bool:
    """Whether a request to `host` is answered here."""
    return host_rules.normalise_host(host) == HOST


def forbid_connect(flow: http.HTTPFlow) -> None:
    """Refuse a tunnel to `HOST`, which would have to be opened upstream."""
    flow.response = plain(HTTPStatus.NOT_FOUND, f"{HOST} speaks plain HTTP only: http://{HOST}/")


def plain(status: HTTPStatus, line: str, headers: dict[str, str] | None = None) -> http.Response:
    """An answer of one line."""
    return http.Response.make(
        status,
        f"{line}\n".encode("utf-8", "replace"),
        {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store", **(headers or {})},
    )


def check(flow: http.HTTPFlow) -> None:
    """Raise `Refusal` unless a program on this machine asks, and no page of another site has made it ask."""
    client, here = flow.client_conn.peername, flow.client_conn.sockname
    if not _is_this_machine(client[0] if client else "", here[0] if here else ""):
        raise Refusal(HTTPStatus.FORBIDDEN, f"{HOST} answers programs on the proxy's own machine only.")
    host = flow.request.host_header
    if host is not None and not is_local_host(host):
        raise Refusal(HTTPStatus.FORBIDDEN, f"{HOST} answers requests only whose Host header names it.")
    origins = flow.request.headers.get_all("origin")
    if not all(map(_is_own_origin, origins)):
        raise Refusal(HTTPStatus.FORBIDDEN, f"{HOST} answers no pages but its own.")


def _is_this_machine(client: str, here: str) -> bool:
    """Whether the address `client` is of this machine; `here` is the one on which the connection came in."""
    try:
        client_address, here_address = _address(client), _address(here) if here else None
    except ValueError:
        return False
    # Whoever connects to an address of this machine from that very address is on this machine.
    return client_address.is_loopback or client_address == here_address


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


def _is_own_origin(origin: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme == "http" and is_local_host(parts.netloc)


class Guard:
    """Knows the token. `clock` gives seconds, from any beginning.

    Nobody guesses a token of `secrets.token_urlsafe`; the pause is there so that nobody has to rely on that.
    """

    def __init__(self, token: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._token = token.encode()
        self._clock = clock
        self._failures = 0
        self._closed_until = float("-inf")

    def check(self, request: http.Request) -> None:
        """Raise `Refusal` unless the request bears the token."""
        now = self._clock()
        if now < self._closed_until:
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                "Too many wrong tokens: none is looked at for a minute.",
                {"Retry-After": str(max(1, round(self._closed_until - now)))},
            )
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        given = given.strip()
        if scheme.lower() != "bearer" or not given:
            raise Refusal(
                HTTPStatus.FORBIDDEN, "This needs the token that was printed when the proxy started, as Bearer TOKEN."
            )
        if hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._token):
            return  # so an empty token is nobody's
        self._failures += 1
        if self._failures >= _MOST_FAILURES:
            self._failures = 0
            self._closed_until = now + _PAUSE_SECONDS
        raise Refusal(HTTPStatus.FORBIDDEN, "The token is not the one that was printed when the proxy started.")

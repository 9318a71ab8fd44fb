"""Answers `http://foundry.local` inside the proxy, for programs on its machine: is the addon there, what did it do."""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING

from mitmproxy import http

import host_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["HOST", "forbid_connect", "is_local_host", "respond"]

HOST = "foundry.local"
"""No such host exists; a request to it never leaves the proxy."""


def is_local_host(host: str) -> bool:
    """Whether a request to `host` is answered here."""
    return host_rules.normalise_host(host) == HOST


def respond(flow: http.HTTPFlow, documents: Mapping[str, Callable[[], Mapping[str, object]]]) -> None:
    """Answer a request to `HOST` with the document at its path; anything else gets an error, never the network."""
    document = documents.get(flow.request.path.partition("?")[0])
    if not _is_loopback(flow.client_conn.peername):
        flow.response = _plain(403, f"{HOST} answers programs on the proxy's own machine only.")
    elif flow.request.method not in ("GET", "HEAD"):
        flow.response = _plain(405, f"{HOST} answers GET only.")
    elif document is None:
        flow.response = _plain(404, f"{HOST} has {', '.join(sorted(documents))}.")
    else:
        flow.response = http.Response.make(
            200, json.dumps(document()), {"Content-Type": "application/json", "Cache-Control": "no-store"}
        )


def forbid_connect(flow: http.HTTPFlow) -> None:
    """Refuse a tunnel to `HOST`, which would have to be opened upstream."""
    flow.response = _plain(404, f"{HOST} speaks plain HTTP only: http://{HOST}/ready")


def _plain(status: int, text: str) -> http.Response:
    return http.Response.make(status, f"{text}\n", {"Content-Type": "text/plain", "Cache-Control": "no-store"})


def _is_loopback(peername: tuple[str, int] | None) -> bool:
    try:
        address = ipaddress.ip_address(peername[0] if peername else "")
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)

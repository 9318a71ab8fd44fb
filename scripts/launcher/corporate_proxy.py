"""The proxy that was there before ours: ours sends everything on to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from launcher.errors import LauncherError

__all__ = ["CorporateProxy", "find"]

# The order in which Claude Code looks, then what the commands that it runs look at.
VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class CorporateProxy:
    """Where it is, and what it wants to hear."""

    url: str
    """scheme://host:port, without user and password."""
    credentials: str | None
    """user:password, decoded; never put on a command line."""


def find(variables: Mapping[str, str]) -> CorporateProxy | None:
    """Raise LauncherError if there is one of a kind that mitmproxy cannot send on to."""
    for name in VARIABLES:
        if given := variables.get(name, "").strip():
            return _parse(name, given)
    return None


def _parse(name: str, given: str) -> CorporateProxy:
    try:
        parts = urlsplit(given if "://" in given else f"http://{given}")
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        port = None
    if port is None or not parts.hostname or parts.scheme not in _DEFAULT_PORTS:
        # The value is not shown: it may hold a password.
        raise LauncherError(
            f"{name} names a proxy that cannot be chained: give http://HOST:PORT or https://HOST:PORT "
            "(SOCKS is not supported)."
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    credentials = None
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return CorporateProxy(f"{parts.scheme}://{host}:{port}", credentials)

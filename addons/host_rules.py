"""Which requests are Foundry's, and which wire format they carry: a table from host and path.

A host belongs to Foundry when it is a subdomain of one of `FOUNDRY_DOMAINS`, or when it was named as an extra host (an
API Management gateway, a private-link name). Extra hosts have no wildcards, so that nothing is intercepted that nobody
named.
"""

from __future__ import annotations

import ipaddress
import re
import urllib.parse
from enum import StrEnum
from typing import TYPE_CHECKING

from compression_engine import WireFormat

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = [
    "FOUNDRY_DOMAINS",
    "FOUNDRY_SCOPE",
    "NAMED_HOSTS",
    "Endpoint",
    "deployment",
    "endpoint",
    "is_foundry_host",
    "named_host",
    "normalise_host",
]

_SERVICES = ("services.ai", "openai", "cognitiveservices")
_CLOUDS = ("com", "us", "cn")  # public, US government, China

FOUNDRY_DOMAINS: tuple[str, ...] = tuple(f"{service}.azure.{cloud}" for service in _SERVICES for cloud in _CLOUDS)
"""Every Foundry resource is a subdomain of one of these."""

FOUNDRY_SCOPE = f"*.{{{','.join(_SERVICES)}}}.azure.{{{','.join(_CLOUDS)}}}"
"""The same for a person to read."""


class Endpoint(StrEnum):
    """What a path of Foundry's asks for."""

    MESSAGES = "messages"
    COUNT_TOKENS = "count_tokens"
    CHAT_COMPLETIONS = "chat_completions"
    RESPONSES = "responses"

    @property
    def wire_format(self) -> WireFormat:
        """The shape of the request body."""
        return _WIRE_FORMATS[self]


_WIRE_FORMATS = {
    Endpoint.MESSAGES: WireFormat.ANTHROPIC_MESSAGES,
    Endpoint.COUNT_TOKENS: WireFormat.ANTHROPIC_MESSAGES,
    Endpoint.CHAT_COMPLETIONS: WireFormat.CHAT_COMPLETIONS,
    Endpoint.RESPONSES: WireFormat.RESPONSES,
}

NAMED_HOSTS = "host names or URLs with one, without wildcards (addresses cannot be certified)"
"""What `named_host` takes, for a person to read."""

_HOST_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")

_LABELS = r"(?:[a-z0-9_-]+\.)+"
_FOUNDRY_HOST = re.compile(_LABELS + f"(?:{'|'.join(map(re.escape, FOUNDRY_DOMAINS))})")

_PATHS: tuple[tuple[str, Endpoint], ...] = (
    (r"/anthropic/v1/messages", Endpoint.MESSAGES),
    (r"/anthropic/v1/messages/count_tokens", Endpoint.COUNT_TOKENS),
    (r"/openai/deployments/[^/]+/chat/completions", Endpoint.CHAT_COMPLETIONS),
    (r"/openai/v1/chat/completions", Endpoint.CHAT_COMPLETIONS),
    (r"/models/chat/completions", Endpoint.CHAT_COMPLETIONS),
    (r"/openai/responses", Endpoint.RESPONSES),
    (r"/openai/v1/responses", Endpoint.RESPONSES),
)

# A gateway may stand at any path, and clients of Anthropic Messages append only `/v1/messages` to its base URL.
_GATEWAY_PATHS: tuple[tuple[str, Endpoint], ...] = (
    *((rf"(?:/.*)?{path}", kind) for path, kind in _PATHS),
    (r"(?:/.*)?/v1/messages", Endpoint.MESSAGES),
    (r"(?:/.*)?/v1/messages/count_tokens", Endpoint.COUNT_TOKENS),
)

_FOUNDRY_TABLE = tuple((re.compile(path), kind) for path, kind in _PATHS)
_GATEWAY_TABLE = tuple((re.compile(path), kind) for path, kind in _GATEWAY_PATHS)


_DEPLOYMENT = re.compile(r"/openai/deployments/([^/?]+)/")


def deployment(path: str) -> str:
    """The deployment that a path names; empty if it names none, since then the body does."""
    found = _DEPLOYMENT.search(path)
    return urllib.parse.unquote(found[1]) if found else ""


def normalise_host(host: str) -> str:
    """`host` in lower case, without port and without the root's trailing dot; empty if it is no ASCII name."""
    if not host.isascii():
        return ""
    name, colon, port = host.rpartition(":")
    if not (colon and port.isdecimal()):
        name = host
    return name.lower().removesuffix(".")


def named_host(given: str) -> str:
    """The host that a person gave by its name or in a URL, normalised; empty if it is none of `NAMED_HOSTS`."""
    try:
        host = normalise_host(urllib.parse.urlsplit(given if "://" in given else f"//{given}").hostname or "")
    except ValueError:  # brackets that do not close
        return ""
    return host if _HOST_NAME.fullmatch(host) and not _is_address(host) else ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_foundry_host(host: str, extra_hosts: Collection[str] = ()) -> bool:
    """Whether `host` (a port may follow it) is a Foundry resource or one of `extra_hosts` (normalised names)."""
    name = normalise_host(host)
    return name in extra_hosts or _FOUNDRY_HOST.fullmatch(name) is not None


def endpoint(host: str, path: str, extra_hosts: Collection[str] = ()) -> Endpoint | None:
    """What a request to `host` and `path` (a query may follow it) asks Foundry for; None if that is not known."""
    if not is_foundry_host(host, extra_hosts):
        return None
    table = _GATEWAY_TABLE if normalise_host(host) in extra_hosts else _FOUNDRY_TABLE
    path = path.partition("?")[0]
    return next((kind for pattern, kind in table if pattern.fullmatch(path)), None)

"""The proxy that Claude Code would use: whether anything listens there, and whether it is the addon."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from doctor_checks.finding import Finding, failed, ok, skipped, warning
from doctor_checks.wire import Deadline, NoHttpError, Reply, connect, exchange, within
from launcher import corporate_proxy
from launcher.client_settings import ClientSettings
from launcher.errors import LauncherError

__all__ = ["Kind", "Look", "NamedProxy", "Unusable", "judge", "judge_client", "judge_spellings", "look", "name_proxy"]

SECONDS = 15.0
"""How long an answer is waited for: on a machine with much to do, a proxy that is well may take some seconds."""
NAME = "proxy"
OPTION = "--proxy"
BY_HAND = ".venv/bin/mitmdump -s addons/foundry_compress.py"


@dataclass(frozen=True, slots=True)
class NamedProxy:
    """A proxy and who named it. Its user and password are not kept."""

    scheme: str
    host: str
    port: int
    source: str
    """The variable and where it is set, or the option of the doctor."""
    has_credentials: bool = False

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Unusable:
    """A proxy is named, but not in a way that can be used; `reason` is one line."""

    reason: str


class Kind(StrEnum):
    """What is there."""

    NONE = "none"  # no proxy is named
    UNUSABLE = "unusable"
    SILENT = "silent"  # nothing listens, or it says nothing
    LOCKED = "locked"  # wants a user and password
    ADDON = "addon"
    MITMPROXY = "mitmproxy"  # without the addon
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen."""

    kind: Kind
    proxy: NamedProxy | None = None
    said: str = ""
    """Of an addon its version; else what went wrong."""
    mode: str = ""
    """The addon's; empty if it does not tell."""

    @property
    def is_own_addon(self) -> bool:
        """Whether the addon is there, on this machine, so that its authority is the one that lies here."""
        return self.kind is Kind.ADDON and bool(self.mode)

    @property
    def is_required(self) -> bool:
        """Whether somebody asked the doctor about this very proxy."""
        return self.proxy is not None and self.proxy.source == OPTION


def name_proxy(settings: ClientSettings, given: str | None) -> NamedProxy | Unusable | None:
    """The proxy that was `given` to the doctor, else the one that Claude Code would use; None: none."""
    if given is not None:
        return _named({"HTTPS_PROXY": given}, OPTION)
    name = next((name for name in corporate_proxy.VARIABLES if settings.variables.get(name, "").strip()), None)
    if name is None:
        return None
    return _named({name: settings.variables[name]}, f"{name} in {settings.origin(name)}")


def _named(variables: Mapping[str, str], source: str) -> NamedProxy | Unusable:
    try:
        found = corporate_proxy.find(variables)
    except LauncherError:
        return Unusable(f"{source} names a proxy of a kind that cannot be used")
    if found is None:
        return Unusable(f"{source} names no proxy")
    parts = urlsplit(found.url)
    return NamedProxy(parts.scheme, str(parts.hostname), int(parts.port or 0), source, found.credentials is not None)


def look(proxy: NamedProxy | Unusable | None, seconds: float = SECONDS) -> Look:
    """Ask `proxy` for what only the addon answers; it takes `seconds` at most."""
    if proxy is None:
        return Look(Kind.NONE)
    if isinstance(proxy, Unusable):
        return Look(Kind.UNUSABLE, said=proxy.reason)
    if proxy.scheme == "https":
        return Look(Kind.OTHER, proxy, "it speaks TLS, which the addon's proxy does not")
    try:
        return recognise(proxy, within(seconds, lambda: _ask(proxy, Deadline(seconds))))
    except NoHttpError:
        return Look(Kind.OTHER, proxy, "it does not speak HTTP")
    except OSError as error:
        return Look(Kind.SILENT, proxy, _words(error, seconds))


def _words(error: OSError, seconds: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {seconds:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    return error.strerror or str(error)


def _ask(proxy: NamedProxy, deadline: Deadline) -> Reply:
    with connect(proxy.host, proxy.port, deadline) as connection:
        head = ["GET http://foundry.local/ready HTTP/1.1", "Host: foundry.local", "Connection: close"]
        return exchange(connection, head, deadline)


def recognise(proxy: NamedProxy, reply: Reply) -> Look:
    """Who gave this `reply` to http://foundry.local/ready."""
    document: Any = None
    with contextlib.suppress(ValueError):
        document = json.loads(reply.body)
    if isinstance(document, dict) and document.get("addon") == "foundry_compress":
        return Look(Kind.ADDON, proxy, str(document.get("version", "")), str(document.get("mode", "")))
    if reply.status == 403 and reply.body.startswith(b"foundry.local answers programs on"):  # noqa: PLR2004
        return Look(Kind.ADDON, proxy)
    if reply.status == 407:  # noqa: PLR2004
        return Look(Kind.LOCKED, proxy)
    if reply.is_mitmproxys:
        return Look(Kind.MITMPROXY, proxy)
    return Look(Kind.OTHER, proxy, f"it answered {reply.status}")


def judge(seen: Look) -> Finding:
    """What this means for somebody who starts Claude Code."""
    if seen.proxy is None:
        if seen.kind is Kind.UNUSABLE:
            return failed(NAME, seen.said, "give http://HOST:PORT or https://HOST:PORT (SOCKS is not supported)")
        return skipped(NAME, "no proxy is set here; scripts/claude-foundry starts one")
    where = f"{seen.proxy.address} ({seen.proxy.source})"
    if seen.kind is Kind.ADDON:
        return _judge_addon(seen, where)
    if seen.kind is Kind.SILENT:
        return failed(NAME, f"{where}: {seen.said}", _start(seen.proxy))
    if seen.kind is Kind.LOCKED:
        return _judge_locked(seen.proxy, where)
    return _judge_another(seen, where)


def _start(proxy: NamedProxy) -> str:
    if proxy.source == OPTION:
        return f"start it: {BY_HAND}"
    variable = proxy.source.partition(" ")[0]
    return f"start it: {BY_HAND}; or unset {variable} and start Claude Code with scripts/claude-foundry"


def _judge_locked(proxy: NamedProxy, where: str) -> Finding:
    if not proxy.has_credentials:
        detail = f"{where} wants a user and password, and none is given"
        return failed(NAME, detail, "write USER:PASSWORD@ before its host")
    detail = f"{where} wants its user and password, which this check does not send"
    return warning(NAME, f"{detail}: whether the addon is in it is not known")


def _judge_another(seen: Look, where: str) -> Finding:
    if seen.kind is Kind.MITMPROXY:
        return failed(NAME, f"{where} is a mitmproxy without the addon", f"start it as {BY_HAND}")
    detail = f"{where} is another proxy, without the addon ({seen.said})"
    if seen.is_required:
        return failed(NAME, detail, f"name the proxy that was started as {BY_HAND}")
    remedy = "start Claude Code with scripts/claude-foundry, whose proxy sends everything on to that one"
    return warning(NAME, detail, remedy)


def _judge_addon(seen: Look, where: str) -> Finding:
    if not seen.mode:
        return ok(NAME, f"{where}: the addon, on another machine, which does not tell its mode")
    detail = f"{where}: the addon {seen.said}, mode {seen.mode}"
    if seen.mode == "off":
        return warning(NAME, f"{detail}: it tunnels everything, and changes nothing", "give it another foundry_mode")
    if seen.mode == "observe":
        return warning(NAME, f"{detail}: it measures, and changes nothing", "give it another foundry_mode")
    return ok(NAME, detail)


def judge_client(settings: ClientSettings, seen: Look) -> Finding | None:
    """Whether Claude Code itself is told of the proxy that the doctor was told of."""
    if not seen.is_required or seen.kind is not Kind.ADDON or seen.proxy is None:
        return None
    own = name_proxy(settings, None)
    if isinstance(own, NamedProxy) and (own.host, own.port) == (seen.proxy.host, seen.proxy.port):
        return None
    other = f"names another ({own.address})" if isinstance(own, NamedProxy) else "is not set"
    return warning(
        "HTTPS_PROXY",
        f"{other}, so a Claude Code that is started here goes past this proxy",
        f"set HTTPS_PROXY={seen.proxy.scheme}://{seen.proxy.address}",
    )


def judge_spellings(settings: ClientSettings) -> Finding | None:
    """HTTPS_PROXY and https_proxy should say the same: programs differ in which they read."""
    upper, lower = (settings.variables.get(name, "").strip() for name in ("HTTPS_PROXY", "https_proxy"))
    if not upper or not lower or upper == lower:
        return None
    origins = f"{settings.origin('HTTPS_PROXY')} and {settings.origin('https_proxy')}"
    return warning(
        "proxy: spellings",
        f"HTTPS_PROXY and https_proxy name different proxies (in {origins}); Claude Code uses the first",
        "let both say the same",
    )

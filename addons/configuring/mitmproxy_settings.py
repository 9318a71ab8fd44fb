"""mitmproxy's own options, as far as this addon depends on them: which it sets, and which stand in its way."""

from __future__ import annotations

import ipaddress
import logging
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mitmproxy.exceptions import OptionsError
from mitmproxy.master import Master
from mitmproxy.optmanager import OptManager, unset
from mitmproxy.proxy.mode_specs import ReverseMode

from connecting.listening import is_loopback
from host_rules import FOUNDRY_DOMAINS

__all__ = [
    "OBSTACLE_OPTIONS",
    "client_setting",
    "discard_authority_just_made",
    "is_given",
    "listen_addresses",
    "obstacles",
    "rebind",
    "set_unless_given",
]

_WANTED: dict[str, object] = {
    # Names of the upstream certificate have no place in one that our authority signs: it may not vouch for all of them.
    "upstream_cert": False,
    # Every client speaks HTTP/1.1, which costs mitmproxy less.
    "http2": False,
    # mitmproxy listens on every interface otherwise.
    "listen_host": "127.0.0.1",
}

OBSTACLE_OPTIONS = frozenset(
    {
        "allow_hosts",
        "hardump",
        "ignore_hosts",
        "save_stream_file",
        "stream_large_bodies",
        "tcp_hosts",
        "web_host",
    }
)
"""The options that `obstacles` looks at."""


def is_given(options: OptManager, name: str) -> bool:
    """Whether somebody set the option, even if to its default."""
    return options._options[name].value is not unset  # noqa: SLF001 - has_changed() overlooks a default asked for


def set_unless_given(options: OptManager) -> dict[str, object]:
    """Set what the addon wants; return what was set. A value that another option forbids stays as it is."""
    done: dict[str, object] = {}
    for name, value in _WANTED.items():
        if is_given(options, name):
            continue
        try:
            options.update(**{name: value})
        except OptionsError:
            continue
        done[name] = value
    return done


def obstacles(options: OptManager, extra_hosts: Iterable[str]) -> Iterator[str]:
    """One line for each option that keeps requests from being rewritten, or that users of this addon should know of."""
    if limit := _value(options, "stream_large_bodies"):
        yield (
            f"stream_large_bodies={limit}: mitmproxy sends larger requests on before this addon sees their body, so "
            "they pass as they are; leave the option out"
        )
    for name in ("ignore_hosts", "allow_hosts", "tcp_hosts"):
        if hidden := _hidden(options, name, extra_hosts):
            yield f"{name}: it keeps {hidden} from this addon, so requests to it pass as they are"
    for name in ("save_stream_file", "hardump"):
        if file := _value(options, name):
            yield f"{name}={file}: that file will hold the API keys or tokens of the requests"
    web_host = _value(options, "web_host")
    if web_host is not None and not is_loopback(web_host):
        yield (
            f"web_host={ascii(web_host)[1:-1]}: mitmweb shows every request with its API key or token to who has its "
            "password, which itself goes over the network in the clear; leave the option out, and come through SSH"
        )


def _hidden(options: OptManager, name: str, extra_hosts: Iterable[str]) -> str | None:
    """The first of Foundry's hosts that the option `name` takes away, judged by an example of each domain."""
    patterns = _value(options, name)
    if not patterns:
        return None
    resource = os.environ.get("ANTHROPIC_FOUNDRY_RESOURCE", "").strip() or "resource"
    for host in (*(f"{resource}.{domain}" for domain in FOUNDRY_DOMAINS), *extra_hosts):
        # tcp_hosts are compared with the name alone, the others with name and port.
        target = host if name == "tcp_hosts" else f"{host}:443"
        matched = any(re.search(pattern, target, re.IGNORECASE) for pattern in patterns)
        if matched != (name == "allow_hosts"):
            return host
    return None


def _value(options: OptManager, name: str) -> Any:
    """The option's value; None where the part of mitmproxy that has it is not loaded."""
    return getattr(options, name) if name in options else None


def listen_addresses(master: Master) -> list[tuple[str, int]]:
    """Host and port of each socket on which mitmproxy listens, as far as `listen_host` rules it."""
    proxyserver = master.addons.get("proxyserver")
    if proxyserver is None:
        return []
    return [
        (address[0], address[1])
        for server in proxyserver.servers
        if server.mode.custom_listen_host is None
        for address in server.listen_addrs
    ]


def client_setting(master: Master) -> str:
    """What leads a client here, as NAME=VALUE: this proxy, or where there is none the base URL that reverse mode is."""
    proxyserver = master.addons.get("proxyserver")
    servers = proxyserver.servers if proxyserver else ()
    for server in sorted(servers, key=lambda one: isinstance(one.mode, ReverseMode)):
        for host, port, *_ in server.listen_addrs:
            url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            is_reverse = isinstance(server.mode, ReverseMode)
            return f"ANTHROPIC_FOUNDRY_BASE_URL={url}/anthropic" if is_reverse else f"HTTPS_PROXY={url}"
    return "HTTPS_PROXY=http://HOST:PORT"


def rebind(master: Master) -> bool:
    """Make mitmproxy listen where `listen_host` says; whether anything had to change. Call in `running`.

    mitmproxy reads the option before it loads scripts, so a script that sets it comes too late for the first socket.
    """
    if all(ipaddress.ip_address(host).is_loopback for host, _ in listen_addresses(master)):
        return False
    master.options.update(server=False)
    master.options.update(server=True)
    return True


def discard_authority_just_made(directory: Path) -> bool:
    """Delete the certificate authority in `directory` if this very process made it; whether it did.

    mitmproxy makes one while it reads its command line, if that names a `confdir` without any. Nobody can have come to
    trust it in the second since.
    """
    record = logging.LogRecord("", 0, "", 0, "", None, None)
    process_began = record.created - record.relativeCreated / 1000
    files = list(directory.glob("mitmproxy-ca*"))
    if any(file.stat().st_mtime < process_began for file in files):
        return False
    for file in files:
        file.unlink()
    return bool(files)

"""`--print-env`: what a client must be given to go through a proxy that runs on its own.

Standard output gets the variables and nothing else, so that a shell can take them as they come; what is worth saying
goes to standard error, one line each.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import host_rules
from connecting import certificate_authority
from doctor_checks import proxy as proxy_check
from launcher import (
    child_environment,
    client_settings,
    corporate_proxy,
    durable_trust,
    foundry_target,
    no_proxy,
    places,
)
from launcher.client_settings import ClientSettings
from launcher.env_formats import FORMATS, render
from launcher.errors import LauncherError
from service_units.address import Whereabouts, whereabouts

__all__ = ["OPTION", "exceptions_for", "main"]

OPTION = "--print-env"
_FOR_SETTINGS = ("json",)
_SECONDS = 5.0


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as the launcher does."""

    def error(self, message: str) -> None:  # type: ignore[override] # it ends with an error all the same
        raise LauncherError(f"{OPTION}: {message}")


@dataclass(frozen=True, slots=True)
class _Asked:
    form: str
    proxy: str
    is_own: bool
    """It is the proxy of this machine's service, and not one that was named."""
    certificate: Path | None


def main(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Print what the client needs and return 0. Raises LauncherError or AuthorityError with what is in the way."""
    service = whereabouts()
    asked = _parse(arguments, service)
    if asked.proxy in _addresses(service):
        environment = {**environment, **places.named(service.environment)}
    settings = client_settings.read(environment, client_settings.USERS_OWN)
    certificate = asked.certificate or _own_certificate(environment)
    hosts = _foundry_hosts(settings)
    exceptions = exceptions_for(settings.variables, hosts)
    ours = {
        **child_environment.proxy_variables(asked.proxy, exceptions),
        **durable_trust.write(settings.variables, certificate, durable_trust.folder(places.state_dir(environment))),
    }
    sys.stdout.buffer.write(os.fsencode(render(asked.form, ours)))
    sys.stdout.flush()
    for line in _remarks(asked, client_settings.read(environment), exceptions, ours):
        print(f"claude-foundry: {line}", file=sys.stderr)
    return 0


def _parse(arguments: Sequence[str], service: Whereabouts) -> _Asked:
    parser = _Parser("claude-foundry", add_help=False, allow_abbrev=False)
    parser.add_argument(OPTION, metavar="FORMAT", dest="form", required=True)
    parser.add_argument("--proxy", metavar="URL")
    parser.add_argument("--ca", metavar="FILE", type=Path)
    given = parser.parse_args(arguments)
    if given.form not in FORMATS:
        raise LauncherError(f"{OPTION}: {given.form!r} is not possible; allowed are {', '.join(FORMATS)}.")
    if given.ca is not None and not _is_certificate(given.ca):
        raise LauncherError(f"--ca: {given.ca} holds no certificate in PEM form.")
    return _Asked(
        given.form,
        _address(given.proxy) if given.proxy is not None else _addresses(service)[0],
        is_own=given.proxy is None,
        certificate=given.ca.absolute() if given.ca else None,
    )


def _addresses(service: Whereabouts) -> list[str]:
    return [f"http://{host}:{service.port}" for host in ("127.0.0.1", "localhost")]


def _address(given: str) -> str:
    try:
        corporate_proxy.find({"--proxy": given, "HTTPS_PROXY": given})
        parts = urlsplit(given if "://" in given else f"http://{given}")
        usable = parts.scheme == "http" and parts.port is not None and parts.path in ("", "/")
    except (LauncherError, ValueError):
        usable = False
    if not usable or not re.fullmatch(r"[!-~]+", given):
        # The value is not shown: it may hold a password.
        raise LauncherError("--proxy: give http://HOST:PORT, the address at which the proxy listens.")
    return f"{parts.scheme}://{parts.netloc}"


def _is_certificate(file: Path) -> bool:
    try:
        return b"-----BEGIN CERTIFICATE-----" in file.read_bytes()
    except OSError:
        return False


def _own_certificate(environment: Mapping[str, str]) -> Path:
    return certificate_authority.ensure(places.confdir(environment)).certificate_path


def _foundry_hosts(settings: ClientSettings) -> list[str]:
    """Whatever may stand for Foundry: this is also asked where Claude Code is not set up yet."""
    named = re.split(r"[,\s]+", settings.variables.get(f"{places.OPTION_PREFIX}EXTRA_HOSTS", ""))
    hosts = [host for given in named if (host := host_rules.named_host(given))]
    with contextlib.suppress(LauncherError):
        hosts.append(foundry_target.find(settings).host)
    return [*hosts, *(f"resource.{domain}" for domain in host_rules.FOUNDRY_DOMAINS)]


def exceptions_for(variables: Mapping[str, str], hosts: Sequence[str]) -> no_proxy.NoProxy:
    """NO_PROXY for the client: no entry leads one of `hosts`, or any other Foundry host, past the proxy."""
    exceptions = no_proxy.repair(variables, "")
    own = [entry.lstrip("*.") for entry in exceptions.value.split(",")]
    dropped = dict.fromkeys(exceptions.dropped)
    for host in [*hosts, *filter(host_rules.is_foundry_host, own)]:
        exceptions = no_proxy.repair({"NO_PROXY": exceptions.value}, host_rules.normalise_host(host))
        dropped.update(dict.fromkeys(exceptions.dropped))
    return no_proxy.NoProxy(exceptions.value, tuple(dropped))


def _remarks(
    asked: _Asked, settings: ClientSettings, exceptions: no_proxy.NoProxy, ours: Mapping[str, str]
) -> list[str]:
    remarks = []
    if exceptions.dropped:
        remarks.append(f"NO_PROXY would lead Foundry past the proxy: left out is {', '.join(exceptions.dropped)}.")
    for name in ("HTTPS_PROXY", "NO_PROXY", "NODE_EXTRA_CA_CERTS"):
        stands_in_the_way = name in settings.managed or asked.form not in _FOR_SETTINGS
        if name in settings.origins and settings.variables[name] != ours[name] and stands_in_the_way:
            remarks.append(f"{settings.origin(name)} sets {name}, and Claude Code prefers that: change it there.")
    parts = urlsplit(asked.proxy)
    on_loopback = _is_loopback(parts.hostname or "")
    if asked.form == "docker" and on_loopback:
        remarks.append(
            f"in a container, {parts.hostname} is the container itself: run it with --network host, or name the proxy "
            "as the container sees it with --proxy."
        )
    if not on_loopback and asked.certificate is None:
        remarks.append(
            "the bundles hold the authority of this machine; if the proxy runs elsewhere, name its certificate "
            "with --ca FILE."
        )
    if said := _look(asked):
        remarks.append(said)
    return remarks


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _look(asked: _Asked) -> str:
    """One line if the addon does not answer there, or does nothing; else nothing."""
    parts = urlsplit(asked.proxy)
    named = proxy_check.NamedProxy(
        parts.scheme, str(parts.hostname), int(parts.port or 0), "--proxy", parts.username is not None
    )
    seen = proxy_check.look(named, _SECONDS)
    kind = proxy_check.Kind
    if seen.kind is kind.ADDON:
        return f"the proxy at {named.address} is off, so it changes nothing." if seen.mode == "off" else ""
    if seen.kind is kind.LOCKED:
        if named.has_credentials:
            return ""
        return f"the proxy at {named.address} wants a user and password: --proxy http://USER:PASSWORD@{named.address}."
    if seen.kind is kind.SILENT:
        remedy = "start it with scripts/service install" if asked.is_own else "start it"
        return f"no proxy answers at {named.address} ({seen.said}): {remedy}."
    what = "a mitmproxy without the addon" if seen.kind is kind.MITMPROXY else f"no proxy of ours ({seen.said})"
    return f"what answers at {named.address} is {what}."

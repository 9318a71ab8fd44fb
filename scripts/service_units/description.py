"""What the service is, whichever program looks after it: what it starts, with which variables, where it may write."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from launcher import corporate_proxy, durable_trust, no_proxy, places
from launcher.client_settings import ClientSettings
from launcher.corporate_proxy import CorporateProxy
from launcher.errors import LauncherError
from launcher.foundry_target import find as find_target
from launcher.places import OPTION_PREFIX
from launcher.proxy_process import PROJECT
from service_units import next_hop

__all__ = ["Service", "describe", "inherited"]

_PORTS = range(1, 65_536)
_BASE_URL = "ANTHROPIC_FOUNDRY_BASE_URL"
_TOKEN = f"{OPTION_PREFIX}TOKEN"


@dataclass(frozen=True, slots=True)
class Service:
    """What `systemd` and `launchd` write down, and read back."""

    port: int
    environment: Mapping[str, str] = field(default_factory=dict)
    """The variables that it is started with, besides those of every service. There is no password in them."""

    @property
    def arguments(self) -> list[str]:
        """The program and its arguments."""
        return self.arguments_with(self.port)

    def arguments_with(self, port: int) -> list[str]:
        """The same at another port."""
        return [sys.executable, "-I", "-u", str(PROJECT / "scripts" / "service_units"), "run", "--port", str(port)]

    @property
    def state_dir(self) -> Path:
        """Where it remembers things."""
        return places.state_dir(self.environment)

    @property
    def confdir(self) -> Path:
        """Where its certificate authority is."""
        return places.confdir(self.environment)

    @property
    def writable(self) -> tuple[Path, ...]:
        """The only places where it writes."""
        return (self.state_dir, self.confdir)


def describe(
    settings: ClientSettings, port: int, mode: str | None, before: Service | None = None
) -> tuple[Service, CorporateProxy | None]:
    """The service as this shell and Claude Code's settings would have it, and the proxy that is its next hop.

    Of a service that was there `before`, the launcher's variables stay that this shell does not set. What Claude Code
    was told about it since is not taken for the user's own: its address is no next hop, and its bundles stand for what
    they were made from.

    Raises LauncherError if that is not possible.
    """
    if port not in _PORTS:
        raise LauncherError(f"--port: {port} is not possible; allowed is a whole number from 1 to 65535.")
    variables = settings.variables
    environment = _own(before.environment) if before else {}
    environment |= _own({name: value for name, value in variables.items() if name not in settings.origins})
    environment |= places.pinned(environment)
    if mode:
        environment[f"{OPTION_PREFIX}MODE"] = mode
    host = _host(settings)
    if host and variables.get(_BASE_URL, "").strip():
        named = [*re.split(r"[,\s]+", environment.get(f"{OPTION_PREFIX}EXTRA_HOSTS", "")), host]
        environment[f"{OPTION_PREFIX}EXTRA_HOSTS"] = ",".join(dict.fromkeys(filter(None, named)))
    trusted = durable_trust.given(variables, durable_trust.folder(places.state_dir(environment)))
    environment |= {name: trusted[name] for name in ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE") if name in trusted}
    upstream = _upstream(variables, host, [port, *([before.port] if before else [])])
    if upstream is None and before and _is_told_of(variables, before.port):
        upstream = next_hop.find(before.environment, before.port)
        variables = before.environment
    if upstream:
        environment["HTTPS_PROXY"] = upstream.url
        if value := no_proxy.repair(variables, "").value:
            environment["NO_PROXY"] = value
    return Service(port, dict(sorted(environment.items()))), upstream


def _own(environment: Mapping[str, str]) -> dict[str, str]:
    """The launcher's variables but for the token, which is for the person alone."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(OPTION_PREFIX) and value and name != _TOKEN
    }


def _is_told_of(variables: Mapping[str, str], port: int) -> bool:
    found = corporate_proxy.find(variables)
    return found is not None and next_hop.is_own(found, [port])


def _host(settings: ClientSettings) -> str:
    try:
        return find_target(settings).host
    except LauncherError:  # not set up yet; the proxy need not know
        return ""


def _upstream(variables: Mapping[str, str], host: str, own_ports: list[int]) -> CorporateProxy | None:
    if no_proxy.repair(variables, host).everything_was_direct:
        return None
    found = corporate_proxy.find(variables)
    return None if found is None or next_hop.is_own(found, own_ports) else found


def inherited(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """As much of this shell's environment as a service has anyway."""
    return {name: environment[name] for name in ("HOME", "PATH", "LANG", "USER", "LOGNAME") if name in environment}

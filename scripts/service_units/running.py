"""What the service starts: mitmdump with the addon, on loopback, as its environment says, in this very process."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from configuring.foundry_options import OPTION_NAMES
from connecting import certificate_authority
from launcher import durable_trust, no_proxy, places, trust
from launcher.proxy_process import ADDON, PROJECT
from service_units import next_hop
from whole_file import write_whole

__all__ = ["command_line", "run"]

_INSIDE = Path(__file__).with_name("inside_mitmdump.py")
_TOKEN = "foundry_token"  # noqa: S105 - the option's name; its value has no place on a command line
# -c and not the script `mitmdump`, whose first line names the place where the environment was made.
_START = f"import sys; sys.path.insert(0, {str(PROJECT / 'scripts')!r}); sys.argv[0] = 'mitmdump'; "
_START += "from mitmproxy.tools.main import mitmdump; mitmdump()"


def run(port: int, environment: Mapping[str, str] = os.environ, *, quiet: bool = False) -> NoReturn:
    """Become mitmdump, which tells only of what is wrong if it is to be `quiet`; returns only by raising.

    Raises LauncherError, AuthorityError or OSError with what is in the way.
    """
    # Before mitmproxy makes one that could vouch for every host, as it would where the addon cannot be loaded.
    certificate_authority.ensure(places.confdir(environment))
    argv = command_line(port, environment)
    if quiet:
        argv += ["--set", "termlog_verbosity=warn"]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(argv[0], argv, {**environment, "FOUNDRY_SERVICE_PORT": str(port)})  # noqa: S606 - no shell is wanted
    raise AssertionError("it has become another program")


def command_line(port: int, environment: Mapping[str, str]) -> list[str]:
    """mitmdump's; writes what it is to trust. No password is in it: `inside_mitmdump` asks for that itself."""
    options = {
        "listen_host": "127.0.0.1",
        "listen_port": str(port),
        "confdir": str(places.confdir(environment)),
        "ssl_verify_upstream_trusted_ca": str(_trusted_upstream(environment)),
        "flow_detail": "0",
        **_addon_options(environment),
    }
    upstream = next_hop.find(environment, port)
    argv = [sys.executable, "-I", "-u", "-c", _START]
    if upstream:
        argv += ["--mode", f"upstream:{upstream.url}"]
        if no_proxy.repair(environment, "").value != ",".join(no_proxy.NEAR):
            options["connection_strategy"] = "lazy"  # else the way is chosen before the request is seen
    for name, value in options.items():
        argv += ["--set", f"{name}={value}"]
    for script in (ADDON, _INSIDE):
        argv += ["-s", str(script)]
    return argv


def _addon_options(environment: Mapping[str, str]) -> dict[str, str]:
    """Every option of the addon that has a variable of its own; the addon itself judges the values."""
    names = sorted(OPTION_NAMES - {_TOKEN})
    given = {name: environment.get(places.OPTION_PREFIX + name.removeprefix("foundry_").upper()) for name in names}
    return {name: value for name, value in given.items() if value}


def _trusted_upstream(environment: Mapping[str, str]) -> Path:
    """What Claude Code itself would trust: Mozilla's authorities, the system's and those that the user named."""
    state = places.state_dir(environment)
    given = durable_trust.given(environment, durable_trust.folder(state))
    parts = [trust.mozilla(), trust.system(given), trust.read(given.get("NODE_EXTRA_CA_CERTS"))]
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    own = next_hop.own_dir(environment)
    own.mkdir(mode=0o700, exist_ok=True)
    file = own / "upstream-ca.pem"
    write_whole(file, b"\n".join(part for part in parts if part))
    return file

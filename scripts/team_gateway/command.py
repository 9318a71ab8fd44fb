"""The command line of scripts/gateway: it prepares what mitmdump needs and becomes mitmdump."""

from __future__ import annotations

import ipaddress
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from connecting import certificate_authority
from connecting.certificate_authority import AuthorityError
from team_gateway import own_user, users
from team_gateway.own_user import FolderError, OwnUser
from team_gateway.users import UsersError

__all__ = ["GatewayError", "main", "mitmdump"]

CANNOT_START = 2
PROJECT = Path(__file__).resolve().parents[2]
_NEW_USER = "--new-user"
_OPTION_PREFIX = "FOUNDRY_COMPRESS_"
_NO_OPTIONS = ("CONFDIR", "TOKEN")  # the one is mitmproxy's own, the other must be on no command line
_PORTS = range(1, 65_536)
# -c and not the script `mitmdump`, whose first line names the place where the environment was made.
_RUN = "import sys; sys.argv[0] = 'mitmdump'; from mitmproxy.tools.main import mitmdump; mitmdump()"

HELP = f"""\
gateway [ARGUMENTS OF mitmdump]   a proxy with the addon, for those who have a password, until it is told to end
gateway --new-user NAME           a new password, and the line for it on standard output

Variables, all optional:
  {users.FILE_VARIABLE}    the file with a line for each user, as htpasswd makes them
                                (default: {users.DEFAULT_FILE})
  {users.LINES_VARIABLE}         these lines themselves, instead of a file
  FOUNDRY_GATEWAY_HOST          the address to listen on (default: every one)
  FOUNDRY_GATEWAY_PORT          the port (default: 8080)
  FOUNDRY_GATEWAY_SECRETS       folder with the files mode_token and upstream_auth, if there are (default: /run/secrets)
  {own_user.FOLDER_VARIABLE}       folder for what goes with the process (default: one in /tmp)
  FOUNDRY_COMPRESS_CONFDIR      folder of the certificate authority (default: certs in the project)
  FOUNDRY_COMPRESS_…            the addon's options: FOUNDRY_COMPRESS_MODE=lossless for foundry_mode
"""


class GatewayError(Exception):
    """The proxy cannot be started; one line that says what to do."""


def main(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Return the exit code, 2 with one line on standard error; where nothing is in the way, become mitmdump."""
    try:
        if arguments and arguments[0] in ("--help", "-h"):
            print(HELP, end="")
            return 0
        if arguments and arguments[0] == _NEW_USER:
            return _new_user(arguments[1:])
        command = mitmdump(arguments, environment)
    except (UsersError, FolderError, AuthorityError, GatewayError) as error:
        print(f"gateway: {error}", file=sys.stderr)
        return CANNOT_START
    # Whoever can see the variables of the process need not see who may use it.
    kept = {key: value for key, value in environment.items() if key != users.LINES_VARIABLE}
    return os.execve(command[0], command, kept)  # noqa: S606 - there is nothing for a shell to do


def _new_user(names: Sequence[str]) -> int:
    if len(names) != 1:
        raise GatewayError(f"{_NEW_USER} takes one name")
    password = users.new_password()
    print(users.line_for(names[0], password), flush=True)
    print(f"gateway: the password of {names[0]} is {password} and is not kept; the line is for the file of users: "
          "start the proxy again for it", file=sys.stderr)  # fmt: skip
    return 0


def mitmdump(arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """The command that runs mitmdump with further `arguments`; what it needs is written down by then.

    Raises UsersError, FolderError, AuthorityError or GatewayError.
    """
    confdir = Path(environment.get(f"{_OPTION_PREFIX}CONFDIR") or PROJECT / "certs")
    host, port = _address(environment)
    name, password = f"own-{secrets.token_hex(8)}", users.new_password()
    lines = f"{users.read(environment).rstrip()}\n{users.line_for(name, password)}\n"
    user = OwnUser(_reached_at(host), port, name, password, os.getpid())
    users_file = own_user.put(own_user.folder(environment), user, lines)
    certificate_authority.ensure(confdir)  # before mitmproxy makes one that can vouch for every host there is
    options = {
        "confdir": confdir,
        "listen_host": host,
        "listen_port": port,
        "proxyauth": f"@{users_file}",
        "flow_detail": 0,  # the addon's own line says enough, and no path
        **_addon_options(environment),
    }
    command = [sys.executable, "-I", "-u", "-c", _RUN]
    for script in (PROJECT / "addons" / "foundry_compress.py", Path(__file__).with_name("inside_mitmdump.py")):
        command += ["-s", str(script)]
    for option, value in options.items():
        command += ["--set", f"{option}={value}"]
    return [*command, *arguments]


def _address(environment: Mapping[str, str]) -> tuple[str, int]:
    host, port = (environment.get(f"FOUNDRY_GATEWAY_{name}", "").strip() for name in ("HOST", "PORT"))
    if host:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise GatewayError("FOUNDRY_GATEWAY_HOST: give an address of this machine, or nothing for all") from None
    if port and not (port.isdecimal() and int(port) in _PORTS):
        raise GatewayError("FOUNDRY_GATEWAY_PORT: give a whole number from 1 to 65535")
    return host, int(port or 8080)


def _reached_at(host: str) -> str:
    """The address at which this machine reaches what listens on `host`."""
    if not host or ipaddress.ip_address(host).is_unspecified:
        return "::1" if ":" in host else "127.0.0.1"
    return host


def _addon_options(environment: Mapping[str, str]) -> dict[str, str]:
    """One for each variable: a name that does not exist ends mitmdump at its start, as elsewhere."""
    given = {
        key.removeprefix(_OPTION_PREFIX): value
        for key, value in sorted(environment.items())
        if key.startswith(_OPTION_PREFIX) and value
    }
    url = given.get("STATE_URL", "@")
    if "@" in url and not url.startswith("@"):  # everybody on the machine can read a command line
        raise GatewayError(f"{_OPTION_PREFIX}STATE_URL holds a password: put it into a file, and give @FILE")
    return {f"foundry_{name.lower()}": value for name, value in given.items() if name not in _NO_OPTIONS}

"""The service as a unit of the user's own systemd."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from launcher.errors import LauncherError
from launcher.proxy_process import PROJECT
from service_units.description import Service
from service_units.manager import State, ask
from whole_file import write_whole

__all__ = ["UNIT", "Systemd", "read_unit", "unit"]

UNIT = "foundry-compress.service"
_CANNOT_SEPARATE = ("217", "226")  # systemd.exec(5): USER and NAMESPACE, the steps at which a namespace is refused
_UNSAFE = re.compile(r"""["'\\\x00-\x1f\x7f]""")
_WITHOUT = "# This system lets no user's service have a view of its own of the files."

_HEAD = """\
# Made by scripts/service install, which writes it anew; scripts/service uninstall takes it away.
[Unit]
Description=Foundry Compress, the proxy between Claude Code and Azure AI Foundry
Documentation={documentation}
StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
Type=exec
ExecStart=:{command}
{environment}Restart=on-failure
RestartSec=1
SyslogIdentifier=foundry-compress
UMask=0077
"""

# It reads request bodies and talks to the network: that is all that it is for.
_HARDENING = """\
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
SystemCallArchitectures=native
"""

# For a user's own service these need a user namespace; without PrivateUsers, older systemds ignore them silently.
_SEPARATION = """\
PrivateUsers=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectSystem=strict
ProtectControlGroups=yes
ReadWritePaths={writable}
"""

_TAIL = """\

[Install]
WantedBy=default.target
"""


def unit(service: Service, *, separated: bool = True) -> str:
    """The unit file. `separated`: with a view of its own of the file system, which not every system allows.

    Raises LauncherError if systemd would start nothing from the folder in which the project is.
    """
    if _UNSAFE.search(service.arguments[0]):
        raise LauncherError("systemd starts no program whose path has a quote or backslash in it: move the project.")
    environment = "".join(f"Environment={_quoted(f'{name}={value}')}\n" for name, value in service.environment.items())
    text = _HEAD.format(
        documentation=f"file:{quote(str(PROJECT / 'docs' / 'service.md'))}".replace("%", "%%"),
        command=" ".join(_quoted(argument) for argument in service.arguments),
        environment=environment,
    )
    text += _HARDENING
    if separated:
        text += _SEPARATION.format(writable=" ".join(_quoted(f"-{path}") for path in service.writable))
    else:
        text += f"{_WITHOUT}\n"
    return text + _TAIL


def read_unit(text: str) -> Service | None:
    """The service that a unit file describes; None if it is none of ours."""
    port = re.search(r'^ExecStart=.* "--port" "(\d+)"$', text, re.MULTILINE)
    if port is None:
        return None
    found = (_unquoted(value) for value in re.findall(r'^Environment="(.*)"$', text, re.MULTILINE))
    return Service(int(port[1]), dict(item.split("=", 1) for item in found))


class Systemd:
    """The user's systemd."""

    name = "systemd"
    log_hint = f"journalctl --user -u {UNIT}"

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        config = environment.get("XDG_CONFIG_HOME")
        self.file = (Path(config) if config else Path(environment.get("HOME", "~")).expanduser() / ".config").joinpath(
            "systemd", "user", UNIT
        )

    def check(self) -> None:
        """Raise LauncherError, with the remedy, if it cannot be asked here."""
        remedy = (
            "start the proxy with scripts/service run instead, or, in WSL, write systemd=true under [boot] in "
            "/etc/wsl.conf and start WSL anew"
        )
        try:
            asked = ask(["systemctl", "--user", "show", "--property", "Version"])
        except LauncherError as error:
            raise LauncherError(
                f"no systemd looks after your services here ({str(error).rstrip('.')}): {remedy}."
            ) from None
        if asked.code:
            raise LauncherError(f"no systemd looks after your services here ({asked.last_line}): {remedy}.")

    def read(self) -> Service | None:
        """The service as it is installed; None if it is not."""
        return read_unit(self._text())

    def holds(self, service: Service) -> bool:
        """Whether the unit is what would be written now."""
        return self._text() == unit(service, separated=self._is_separated())

    def write(self, service: Service) -> None:
        """Write the unit. Raises OSError."""
        separated = self._is_separated()
        self.file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.file, unit(service, separated=separated).encode("utf-8", "surrogateescape"))

    def start(self) -> list[str]:
        """Start it, now and whenever the user logs in; anew if it runs. Raises LauncherError."""
        self._order("daemon-reload")
        self._order("enable", UNIT)
        asked = ask(["systemctl", "--user", "restart", UNIT])
        if self._property("ExecMainStatus") not in _CANNOT_SEPARATE:
            if asked.code:
                raise LauncherError(f"systemctl --user restart {UNIT}: {asked.last_line}")
            return []
        service = self.read()
        if service is not None:
            write_whole(self.file, unit(service, separated=False).encode("utf-8", "surrogateescape"))
        self._order("daemon-reload")
        self._order("restart", UNIT)
        return ["this system lets no user's service have a view of its own of the files, so it has none."]

    def state(self) -> State:
        """What systemd says of it now."""
        try:
            asked = ask(["systemctl", "--user", "show", "--property", "ActiveState,SubState,Result", UNIT])
        except LauncherError as error:
            return State(str(error).rstrip("."))
        if asked.code:
            return State(asked.last_line)
        found = dict(line.split("=", 1) for line in asked.out.splitlines() if "=" in line)
        active, result = found.get("ActiveState", "unknown"), found.get("Result", "success")
        said = f"{active} ({found.get('SubState', '')}{'' if result == 'success' else f', {result}'})"
        return State(said, is_over=active in ("failed", "inactive"))

    def remove(self) -> list[Path]:
        """Stop the service and take away all that was made for it. Raises OSError."""
        self._try("disable", "--now", UNIT)
        wanted = self.file.parent / "default.target.wants" / UNIT
        taken = []
        for file in (wanted, self.file):
            if file.is_symlink() or file.exists():
                file.unlink()
                taken.append(file)
        if taken:
            self._try("daemon-reload")
            self._try("reset-failed", UNIT)
        for folder in (wanted.parent, self.file.parent, self.file.parent.parent):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        return [self.file] if taken else []

    def _text(self) -> str:
        """The unit; empty if there is none."""
        try:
            return self.file.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return ""

    def _is_separated(self) -> bool:
        """Unless it was found out that this cannot be: that need not be found out again."""
        return _WITHOUT not in self._text()

    def _order(self, *arguments: str) -> None:
        asked = ask(["systemctl", "--user", *arguments])
        if asked.code:
            raise LauncherError(f"systemctl --user {' '.join(arguments)}: {asked.last_line}")

    def _try(self, *arguments: str) -> None:
        with contextlib.suppress(LauncherError):  # what cannot be asked has nothing left to be taken away
            ask(["systemctl", "--user", *arguments])

    def _property(self, name: str) -> str:
        return ask(["systemctl", "--user", "show", "--value", "--property", name, UNIT]).out.strip()


def _quoted(value: str) -> str:
    """As systemd.syntax(7) has it: in double quotes, with the escapes of C; `%` would begin a specifier."""
    for found, written in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"), ("%", "%%")):
        value = value.replace(found, written)
    return f'"{value}"'


def _unquoted(written: str) -> str:
    """What `_quoted` wrote, without the quotes around it."""
    plain = {"n": "\n", "r": "\r", "t": "\t"}
    return re.sub(r"\\(.)|%%", lambda found: plain.get(found[1], found[1]) if found[1] else "%", written)

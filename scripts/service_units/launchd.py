"""The service as an agent of the user's launchd, on macOS."""

from __future__ import annotations

import contextlib
import os
import plistlib
import re
import time
from pathlib import Path
from typing import Any

from launcher.errors import LauncherError
from service_units.description import Service
from service_units.manager import State, ask
from whole_file import write_whole

__all__ = ["LABEL", "Launchd", "plist", "read_plist"]

LABEL = "foundry-compress"
_TRIES = 10
_PAUSE = 0.5  # seconds; what has just been told to end is in the way for a moment
_UMASK = 0o077


def plist(service: Service, log: Path) -> bytes:
    """The property list, with the keys of launchd.plist(5)."""
    document: dict[str, Any] = {
        "Label": LABEL,
        "ProgramArguments": service.arguments,
        "EnvironmentVariables": dict(service.environment),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ProcessType": "Interactive",  # or its work would be put off, and requests wait for it
        "Umask": _UMASK,
        "StandardOutPath": str(log),
        "StandardErrorPath": str(log),
    }
    return plistlib.dumps(document)


def read_plist(content: bytes) -> Service | None:
    """The service that a property list describes; None if it is none of ours."""
    try:
        document = plistlib.loads(content)
        arguments = document["ProgramArguments"]
        port = int(arguments[arguments.index("--port") + 1])
        return Service(port, {str(name): str(value) for name, value in document["EnvironmentVariables"].items()})
    except (plistlib.InvalidFileException, ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None


class Launchd:
    """The user's launchd. Written by its documentation, and not tried on a Mac yet."""

    name = "launchd"

    def __init__(self, home: Path | None = None) -> None:
        library = (home or Path.home()) / "Library"
        self.file = library / "LaunchAgents" / f"{LABEL}.plist"
        self.log = library / "Logs" / f"{LABEL}.log"
        self.log_hint = f"tail {self.log}"
        self._domain = f"gui/{os.getuid()}"

    def check(self) -> None:
        """Raise LauncherError, with the remedy, if it cannot be asked here."""
        asked = ask(["launchctl", "print", self._domain])
        if asked.code:
            raise LauncherError(
                f"launchd has no session of yours ({asked.last_line}): log in at the screen, or start the proxy with "
                "scripts/service run."
            )

    def read(self) -> Service | None:
        """The service as it is installed; None if it is not."""
        try:
            return read_plist(self.file.read_bytes())
        except OSError:
            return None

    def holds(self, service: Service) -> bool:
        """Whether the property list is what would be written now."""
        return self.file.is_file() and self.file.read_bytes() == plist(service, self.log)

    def write(self, service: Service) -> None:
        """Write the property list. Raises OSError."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.file, plist(service, self.log))

    def start(self) -> list[str]:
        """Start it, now and whenever the user logs in; anew if it runs. Raises LauncherError."""
        ask(["launchctl", "bootout", f"{self._domain}/{LABEL}"])
        ask(["launchctl", "enable", f"{self._domain}/{LABEL}"])
        for _ in range(_TRIES):
            asked = ask(["launchctl", "bootstrap", self._domain, str(self.file)])
            if not asked.code:
                return []
            time.sleep(_PAUSE)
        raise LauncherError(f"launchctl bootstrap {self._domain} {self.file}: {asked.last_line}")

    def state(self) -> State:
        """What launchd says of it now."""
        try:
            asked = ask(["launchctl", "print", f"{self._domain}/{LABEL}"])
        except LauncherError as error:
            return State(str(error).rstrip("."))
        if asked.code:
            return State("not loaded")
        found = re.search(r"^\s*state = (.+)$", asked.out, re.MULTILINE)
        said = found[1].strip() if found else "unknown"
        return State(said)

    def remove(self) -> list[Path]:
        """Stop the service and take away all that was made for it. Raises OSError."""
        with contextlib.suppress(LauncherError):  # what cannot be asked has nothing left to be taken away
            ask(["launchctl", "bootout", f"{self._domain}/{LABEL}"])
        taken = [file for file in (self.file, self.log) if file.exists()]
        for file in taken:
            file.unlink()
        return taken

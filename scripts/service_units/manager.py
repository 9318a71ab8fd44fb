"""What looks after a user's services, and how it is asked."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from launcher.errors import LauncherError
from service_units.description import Service

__all__ = ["Asked", "Manager", "State", "ask"]

_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class State:
    """What the manager says of the service."""

    said: str
    """In its own words, short."""
    is_over: bool = False
    """It does not run, and will not by itself."""


class Manager(Protocol):
    """systemd or launchd."""

    name: str
    file: Path
    """The unit."""
    log_hint: str
    """The command that shows the log."""

    def check(self) -> None:
        """Raise LauncherError, with the remedy, if it cannot be asked here."""

    def read(self) -> Service | None:
        """The service as it is installed; None if it is not."""

    def holds(self, service: Service) -> bool:
        """Whether the unit is what would be written now: the same service, from the same folder, by the same rules."""

    def write(self, service: Service) -> None:
        """Write the unit. Raises OSError."""

    def start(self) -> list[str]:
        """Start it, now and whenever the user comes; anew if it runs. Raises LauncherError.

        Returns what is worth telling, one line each.
        """

    def state(self) -> State:
        """What it says of the service now."""

    def remove(self) -> list[Path]:
        """Stop the service and take away all that was made for it; what was taken. Raises OSError."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a manager's command answered."""

    code: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        """Of what it complained about."""
        lines = (self.err.strip() or self.out.strip()).splitlines()
        return lines[-1].strip() if lines else f"it ended with {self.code}"


def ask(argv: Sequence[str]) -> Asked:
    """Run the command and return what it answered. Raises LauncherError if it is not there or does not come back."""
    if shutil.which(argv[0]) is None:
        raise LauncherError(f"{argv[0]} is not here.")
    try:
        done = subprocess.run(
            argv, capture_output=True, timeout=_SECONDS, check=False, stdin=subprocess.DEVNULL, text=True
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LauncherError(f"{' '.join(argv[:3])}: {error}") from None
    return Asked(done.returncode, done.stdout, done.stderr)

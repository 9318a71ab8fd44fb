"""Where the service listens, for those who look for it."""

from __future__ import annotations

from service_units.managers import of_this_machine

__all__ = ["DEFAULT_PORT", "installed_port"]

DEFAULT_PORT = 8787


def installed_port() -> int | None:
    """The port of the service that is installed for this user; None if there is none."""
    installed = of_this_machine().read()
    return installed.port if installed else None

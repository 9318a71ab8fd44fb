"""Where the service listens, for those who look for it."""

from __future__ import annotations

__all__ = ["DEFAULT_PORT", "installed_port"]

DEFAULT_PORT = 8787


def installed_port() -> int | None:
    """The port of the service that is installed for this user; None if there is none."""
    return None

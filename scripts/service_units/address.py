"""Where the service listens and keeps things, for those who look for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from service_units.managers import of_this_machine

__all__ = ["DEFAULT_PORT", "Whereabouts", "whereabouts"]

DEFAULT_PORT = 8787


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Of the service that is installed for this user, or of the one that would be."""

    port: int = DEFAULT_PORT
    environment: Mapping[str, str] = field(default_factory=dict)
    """Its variables, which say where its folders are; none if there is no service."""


def whereabouts() -> Whereabouts:
    """As the unit says."""
    installed = of_this_machine().read()
    return Whereabouts(installed.port, installed.environment) if installed else Whereabouts()

"""The programs that look after a user's services: which of them this machine has."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from service_units.launchd import Launchd
from service_units.manager import Manager
from service_units.systemd import Systemd

__all__ = ["of_this_machine"]


def of_this_machine(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Manager:
    """The one that this system has."""
    return Launchd() if platform == "darwin" else Systemd(environment)

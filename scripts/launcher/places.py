"""Where things are that outlive a session, as the launcher's variables say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from configuring import state_dir as of_the_addon
from launcher.proxy_process import PROJECT

__all__ = ["OPTION_PREFIX", "confdir", "named", "pinned", "state_dir"]

OPTION_PREFIX = "FOUNDRY_COMPRESS_"
"""With which the names of our variables begin."""
_STATE_DIR = f"{OPTION_PREFIX}STATE_DIR"
_CONFDIR = f"{OPTION_PREFIX}CONFDIR"


def state_dir(environment: Mapping[str, str]) -> Path:
    """The folder for what is remembered; without a variable the user's own, as for `foundry_state_dir`."""
    return of_the_addon.state_dir(environment.get(_STATE_DIR, ""))


def confdir(environment: Mapping[str, str]) -> Path:
    """The folder of the certificate authority."""
    return Path(environment.get(_CONFDIR) or PROJECT / "certs").absolute()


def named(environment: Mapping[str, str]) -> dict[str, str]:
    """Those of the variables in `environment` that say where things are."""
    return {name: environment[name] for name in (_STATE_DIR, _CONFDIR) if name in environment}


def pinned(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that say the same from whatever folder and project they are read."""
    return {_STATE_DIR: str(state_dir(environment)), _CONFDIR: str(confdir(environment))}

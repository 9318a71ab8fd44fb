"""Where things are that outlive a session, as the launcher's variables say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import platformdirs

from launcher.proxy_process import PROJECT

__all__ = ["OPTION_PREFIX", "confdir", "state_dir"]

OPTION_PREFIX = "FOUNDRY_COMPRESS_"
"""With which the names of our variables begin."""


def state_dir(environment: Mapping[str, str]) -> Path:
    """The folder for what is remembered; without a variable the user's own, as for `foundry_state_dir`."""
    given = environment.get(f"{OPTION_PREFIX}STATE_DIR")
    return Path(given).expanduser().absolute() if given else platformdirs.user_state_path("foundry-compress")


def confdir(environment: Mapping[str, str]) -> Path:
    """The folder of the certificate authority."""
    return Path(environment.get(f"{OPTION_PREFIX}CONFDIR") or PROJECT / "certs").absolute()

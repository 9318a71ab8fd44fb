"""The folder for what is remembered: the addon writes there, and scripts look for it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["state_dir"]


def state_dir(given: str) -> Path:
    """The folder that `given` (`foundry_state_dir`) names; where it is empty, the user's own."""
    import platformdirs  # noqa: PLC0415 - scripts/doctor looks at environments without it

    return Path(given).expanduser().absolute() if given else platformdirs.user_state_path("foundry-compress")

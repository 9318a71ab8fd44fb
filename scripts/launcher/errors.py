"""What ends the launcher before Claude Code starts."""

from __future__ import annotations

__all__ = ["LauncherError"]


class LauncherError(Exception):
    """It cannot start. The message is one line that says what to do; it is shown to the user, and nothing else is."""

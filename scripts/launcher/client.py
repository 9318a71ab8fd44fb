"""The client itself: Claude Code, with this terminal, these arguments, and every signal that is sent to us."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from launcher.errors import LauncherError

__all__ = ["find", "run"]

INSTALL = "npm install -g @anthropic-ai/claude-code"
# Where Claude Code's own installers put it without always adding the place to PATH.
_USUAL_PLACES = (".local/bin/claude", ".claude/local/claude")
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)


def find(environment: Mapping[str, str]) -> str:
    """The client's executable: $CLAUDE_FOUNDRY_CLIENT, or `claude`. Raises LauncherError if there is none."""
    path = environment.get("PATH")
    named = environment.get("CLAUDE_FOUNDRY_CLIENT")
    if named:
        if found := shutil.which(named, path=path):
            return found
        raise LauncherError(f"CLAUDE_FOUNDRY_CLIENT names {named}, which is no program: correct or unset it.")
    home = Path(environment.get("HOME", "~")).expanduser()
    for candidate in ("claude", *(str(home / place) for place in _USUAL_PLACES)):
        if found := shutil.which(candidate, path=path):
            return found
    raise LauncherError(f"Claude Code is not installed, or not on PATH: {INSTALL}")


def run(argv: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run the client to its end; return its exit code, 128 + n if signal n ended it.

    It stays in our process group, so the terminal's job control (Ctrl-Z, fg, a resized window) reaches it as it
    would without us. Signals that are sent to us alone are handed on.
    """
    process: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def hand_on(number: int, _frame: FrameType | None) -> None:
        if process is None:
            early.append(number)
        elif not (number in _FROM_TERMINAL and _terminal_sent_it()):
            # From a terminal the client got it too; a second one would mean something else.
            process.send_signal(number)

    before = {}
    for number in _FORWARDED:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup: ignored stays ignored
            before[number] = signal.signal(number, hand_on)
    try:
        process = subprocess.Popen(argv, env=environment)
        for missed in early:
            process.send_signal(missed)
        code = process.wait()
    except OSError as error:
        raise LauncherError(f"{argv[0]} cannot be started: {error.strerror}.") from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def _terminal_sent_it() -> bool:
    """A terminal sends its signals to the whole group in the foreground, so to the client as well."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)

"""The command line of claude-foundry: a few options of its own; everything else is Claude Code's."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

__all__ = ["main"]

CANNOT_START = 2
INTERRUPTED = 130

HELP = """\
claude-foundry [ARGUMENTS OF CLAUDE CODE]   Claude Code on Azure AI Foundry, through a proxy that makes requests smaller
claude-foundry --demo                       the same path without Azure and without Claude Code: before and after
claude-foundry --print-env FORMAT           what a client needs for a proxy that runs on its own (scripts/service);
  [--proxy URL] [--ca FILE]                 FORMAT: sh, fish, powershell, json, docker, github or vscode
claude-foundry --foundry-help               this text

Claude Code must be set up for Foundry as usual, in the environment or in "env" in its settings files:
  CLAUDE_CODE_USE_FOUNDRY=1, and ANTHROPIC_FOUNDRY_RESOURCE=NAME or ANTHROPIC_FOUNDRY_BASE_URL=URL,
  and ANTHROPIC_FOUNDRY_API_KEY=KEY unless you sign in with Entra (az login).
Variables of claude-foundry itself, all optional:
  FOUNDRY_COMPRESS_MODE         off, observe, lossless or balanced (the default)
  FOUNDRY_COMPRESS_EXTRA_HOSTS  further host names that stand for Foundry, with commas between
  FOUNDRY_COMPRESS_PROVIDERS    others that serve Claude, for whose requests it is done too: vertex, bedrock, anthropic
  FOUNDRY_COMPRESS_MEMORY_MB    memory for finished work
  FOUNDRY_COMPRESS_WORK_MB, FOUNDRY_COMPRESS_BUDGET_MS  how much work a conversation and time a request may take
  FOUNDRY_COMPRESS_CACHE_TTL    how long the service keeps a prompt cache: auto, 5m, 1h or seconds
  FOUNDRY_COMPRESS_STATE_DIR    folder for what is remembered of conversations
  FOUNDRY_COMPRESS_STATE_URL    Redis server that remembers them instead, for several proxies that share them
  FOUNDRY_COMPRESS_RECENT_TOKENS, FOUNDRY_COMPRESS_LEAST_TOKENS  what is set aside in mode balanced
  FOUNDRY_COMPRESS_HOLDOUT      percentage of sessions that are left alone, for the report to compare
  FOUNDRY_COMPRESS_KEEP_DAYS, FOUNDRY_COMPRESS_KEEP_MB  how far back the ledger of requests goes, and its size
  FOUNDRY_COMPRESS_CONFDIR      folder of the certificate authority (default: certs in the project)
  CLAUDE_FOUNDRY_CLIENT         the program to start instead of `claude`
  CLAUDE_FOUNDRY_DEBUG=1        show where an error arose
"""


def main(arguments: Sequence[str]) -> int:
    """Return the exit code: the client's, or 2 with one line on standard error if it could not be started."""
    if list(arguments) == ["--foundry-help"]:
        print(HELP, end="")
        return 0
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end)  # so that what was begun is cleaned up
    try:
        # Imported here, so that whatever is wrong with the environment is one line as well.
        if arguments and arguments[0].partition("=")[0] == "--print-env":
            from launcher import print_env  # noqa: PLC0415

            return print_env.main(arguments)
        from launcher import session  # noqa: PLC0415

        return session.run_demo() if list(arguments) == ["--demo"] else session.run_claude_code(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("CLAUDE_FOUNDRY_DEBUG"):
            raise
        print(f"claude-foundry: {_one_line(error)}", file=sys.stderr)
        return CANNOT_START


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _one_line(error: Exception) -> str:
    from connecting.certificate_authority import AuthorityError  # noqa: PLC0415
    from launcher.errors import LauncherError  # noqa: PLC0415

    said = " ".join(str(error).split())
    if isinstance(error, (LauncherError, AuthorityError)):
        return said
    return f"{type(error).__name__}: {said} (CLAUDE_FOUNDRY_DEBUG=1 shows where)"

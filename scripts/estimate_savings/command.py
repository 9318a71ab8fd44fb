"""The command line of scripts/estimate."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from estimate_savings.findings import MODES, estimate_for, findings
from estimate_savings.progress import NothingToReplay, add_all
from estimate_savings.report import report

__all__ = ["PATH_HELP", "main", "run", "seconds"]

PATH_HELP = "transcripts, or folders of them (default: projects in $CLAUDE_CONFIG_DIR or ~/.claude)"

_NOTHING = 2
_INTERRUPTED = 130
_WIDTH_OF_FILES = 120

_DESCRIPTION = """\
What the addon would have saved on Claude Code's own transcripts: they are replayed through it, offline, and the saving
is put against the input bill that their usage fields tell. Reads the transcripts, and writes nothing."""


def main(arguments: Sequence[str]) -> int:
    """Return the exit code: 0, or 2 with one line on standard error where there is nothing to estimate."""
    options = _parser().parse_args(arguments)
    return run("estimate", lambda: _run(options))


def run(name: str, act: Callable[[], None]) -> int:
    """The exit code of the script `name` that does `act` and prints."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a locale without some character is no reason to stop
    try:
        act()
    except NothingToReplay as error:
        print(f"{name}: {error}", file=sys.stderr)
        return _NOTHING
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # `scripts/estimate | head`: nothing is left to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def seconds(text: str) -> float:
    """A number of seconds on a command line."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "estimate", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("path", nargs="*", type=Path, metavar="PATH", help=PATH_HELP)
    mode = "balanced (sets old results aside where the prompt cache is cold; the default) or lossless"
    parser.add_argument("--mode", choices=MODES, default=MODES[0], help=mode)
    lifetime = "how long the service keeps the prompt cache, as foundry_cache_ttl says (default: as the usage shows)"
    parser.add_argument("--cache-ttl", type=seconds, metavar="SECONDS", help=lifetime)
    excerpts = "show the N best and worst results, before and after: contents of your transcripts"
    parser.add_argument("--examples", type=_count, default=0, metavar="N", help=excerpts)
    parser.add_argument("--json", action="store_true", help="everything as one JSON document")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of results")
    return int(text)


def _run(options: argparse.Namespace) -> None:
    estimate = estimate_for(options.mode, lifetime=options.cache_ttl, examples=options.examples)
    add_all(estimate, options.path)
    found = findings(estimate)
    if options.json:
        # ASCII, so that no locale and no lone surrogate gets in the way.
        print(json.dumps(found, indent=2))
    else:
        console = Console(highlight=False)
        # What is not a terminal has no width of its own; tables are not to be folded there.
        report(found, console if console.is_terminal else Console(highlight=False, width=_WIDTH_OF_FILES))

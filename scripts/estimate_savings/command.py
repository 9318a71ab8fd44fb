"""The command line of scripts/estimate."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import command_line
from estimate_savings.findings import MODES, estimate_for, findings
from estimate_savings.progress import NothingToReplay, add_all
from estimate_savings.report import report

__all__ = ["CODES", "PATH_HELP", "main", "seconds"]

PATH_HELP = "transcripts, or folders of them (default: projects in $CLAUDE_CONFIG_DIR or ~/.claude)"

CODES: Mapping[type[Exception], int] = {NothingToReplay: 2}
"""What scripts that replay transcripts exit with."""

_DESCRIPTION = """\
What the addon would have saved on Claude Code's own transcripts: they are replayed through it, offline, and the saving
is put against the input bill that their usage fields tell. Reads the transcripts, and writes nothing."""


def main(arguments: Sequence[str]) -> int:
    """Return the exit code: 0, or 2 with one line on standard error where there is nothing to estimate."""
    options = _parser().parse_args(arguments)
    return command_line.run("estimate", lambda: _run(options), CODES)


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
        report(found, command_line.console())

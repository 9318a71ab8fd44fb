"""The command line of scripts/sweep."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

import command_line
from compression_engine import Setting
from estimate_savings.command import CODES, PATH_HELP, seconds
from estimate_savings.estimate import Estimate
from estimate_savings.progress import add_all
from sweep_settings.table import table, terms_for

__all__ = ["main"]

_RECENT = (2_000, 5_000, 10_000, 20_000, 40_000)
_LEAST = (20, 60, 250, 1_000)

_DESCRIPTION = """\
Replays Claude Code's own transcripts through the addon, offline, once for each pair of settings, and prints what the
input bill would have been as a Markdown table. The defaults are in bold."""


def main(arguments: Sequence[str]) -> int:
    """Return the exit code: 0, or 2 with one line on standard error where there is nothing to replay."""
    options = _parser().parse_args(arguments)
    settings = [Setting(*pair) for pair in itertools.product(options.recent, options.least)]
    return command_line.run("sweep", lambda: _run(options.path, settings, options.cache_ttl), CODES)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "sweep", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("path", nargs="*", type=Path, metavar="PATH", help=PATH_HELP)
    recent = "values of foundry_recent_tokens, with commas between"
    parser.add_argument("--recent", type=_numbers, default=_RECENT, metavar="TOKENS", help=recent)
    least = "values of foundry_least_tokens, with commas between"
    parser.add_argument("--least", type=_numbers, default=_LEAST, metavar="TOKENS", help=least)
    lifetime = "how long the service keeps the prompt cache (default: as the usage shows)"
    parser.add_argument("--cache-ttl", type=seconds, metavar="SECONDS", help=lifetime)
    return parser


def _numbers(text: str) -> list[int]:
    values = text.split(",")
    if not all(value.isascii() and value.isdecimal() for value in values):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers of tokens")
    return [int(value) for value in values]


def _run(paths: Sequence[Path], settings: Sequence[Setting], lifetime: float | None) -> None:
    estimate = Estimate(terms_for(settings, lifetime))
    add_all(estimate, paths)
    for line in table(estimate, settings):
        print(line)

"""The command line of scripts/report."""

from __future__ import annotations

import argparse
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import command_line
from billing.accounts import Account, Accounts
from billing.calibration import Calibration
from billing.evidence import compare
from billing.ledger import LEDGER_FILE
from billing.ledger_reader import LedgerError, LedgerReader
from billing.prices import PriceError, Prices
from launcher.places import OPTION_PREFIX, state_dir
from report_savings.adding_up import add_up
from report_savings.export import By, as_csv, as_json
from report_savings.figures import Figures
from report_savings.page import page
from report_savings.projects import default_folder, projects_of
from report_savings.terminal import show

__all__ = ["main", "moment"]

_NOTHING = 1
_BAD_ARGUMENTS = 2

_AGO = re.compile(r"([0-9]{1,6})([mhdw])")
_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}

_DESCRIPTION = """\
What was saved, in money, by day, project, deployment, tool and kind of content, from the ledger that the addon writes.
What the service billed is measured; what it would have billed without is estimated. docs/report.md explains each
figure. Exit code: 0, 1 with one line if there is nothing to report, 2 for bad arguments."""


class _NothingToReportError(Exception):
    """One line that says why, and what to do."""


def main(arguments: Sequence[str]) -> int:
    """Return the exit code: 0, or 1 with one line on standard error. Bad arguments end it with 2."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.by is not None and not options.csv:
        parser.error("--by goes with --csv")
    if options.since is not None and options.until is not None and options.since >= options.until:
        parser.error("--since must be before --until")
    codes = {PriceError: _BAD_ARGUMENTS, LedgerError: _NOTHING, _NothingToReportError: _NOTHING}
    return command_line.run("report", lambda: _run(options), codes)


def moment(text: str) -> float:
    """A moment on a command line, in seconds since 1970: so long ago (`24h`, `7d`), or a date or time where we are."""
    if ago := _AGO.fullmatch(text):
        return time.time() - int(ago[1]) * _SECONDS[ago[2]]
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(f"{text!r} is no time: 24h, 7d, 2026-11-01 or 2026-11-01T09:30") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "report", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    since = "from then on: 30m, 24h, 7d, 4w ago, or a date or time (2026-11-01, 2026-11-01T09:30)"
    parser.add_argument("--since", type=moment, metavar="TIME", help=since)
    parser.add_argument("--until", type=moment, metavar="TIME", help="up to then, which is not included")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="everything as one JSON document")
    form.add_argument("--csv", action="store_true", help="one table as CSV: see --by")
    form.add_argument("--html", type=Path, metavar="FILE", help="write one page with plots, which loads nothing")
    rows = f"what the CSV has a row for: {', '.join(By)} (default: {By.DAY})"
    parser.add_argument("--by", type=By, choices=list(By), metavar="WHAT", help=rows)
    prices = "your own prices, which come before the list prices: a TOML file of the form of addons/billing/prices.toml"
    parser.add_argument("--prices", type=Path, metavar="FILE", help=prices)
    where = f"where the ledger is (default: ${OPTION_PREFIX}STATE_DIR, or the user's own folder)"
    parser.add_argument("--state-dir", type=Path, default=state_dir(os.environ), metavar="FOLDER", help=where)
    return parser


def _run(options: argparse.Namespace) -> None:
    figures = _figures(options)
    if options.json:
        print(as_json(figures))
    elif options.csv:
        print(as_csv(figures, options.by or By.DAY), end="")
    elif options.html is not None:
        try:
            options.html.write_text(page(figures), encoding="utf-8")
        except OSError as error:
            raise _NothingToReportError(f"{options.html} cannot be written ({error.strerror})") from None
        print(f"Written to {options.html}. It holds the names of projects and deployments.")
    else:
        show(figures, command_line.console())


def _figures(options: argparse.Namespace) -> Figures:
    prices = Prices.load(options.prices)
    file = options.state_dir / LEDGER_FILE
    with closing(LedgerReader(file)) as reader:
        learned = Accounts(prices=prices)
        for entry in reader.entries():
            learned.add(entry)
        unreadable = reader.unreadable
        calibration = learned.calibration
        figures = add_up(
            _accounts(reader, options, calibration, prices),
            prices=prices,
            calibration=calibration,
            projects_of=lambda sessions: projects_of(sessions, default_folder()),
        )
        figures = replace(figures, unreadable=unreadable)
        if not figures.total.requests and unreadable:
            raise _NothingToReportError(
                f"no request that can be read is in {file}, and {unreadable} that cannot: move it away, and the next"
                " request begins a new one"
            )
        if not figures.total.requests:
            when = "in that time" if options.since is not None or options.until is not None else "yet"
            raise _NothingToReportError(
                f"no request is in {file} {when}: start Claude Code with scripts/claude-foundry, and ask again"
            )
        if figures.holdout:
            # Read once more, so that a large ledger need not be in memory.
            figures = replace(figures, evidence=compare(_accounts(reader, options, calibration, prices), prices))
        return figures


def _accounts(
    reader: LedgerReader, options: argparse.Namespace, calibration: Calibration, prices: Prices
) -> Iterator[Account]:
    """What each request of the time that was asked for cost.

    The earlier ones are gone through as well, since later ones go on from them. The factors are those of the whole
    ledger, so that the first requests are not counted with others than the last.
    """
    accounts = Accounts(calibration, prices, learns=False)
    for entry in reader.entries(None, options.until):
        account = accounts.add(entry)
        if options.since is None or entry.at >= options.since:
            yield account

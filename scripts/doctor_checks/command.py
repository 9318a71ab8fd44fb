"""The command line of scripts/doctor."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import command_line
from doctor_checks import report
from doctor_checks.environment import EnvironmentState
from doctor_checks.examination import Examination, Subject, worst
from doctor_checks.finding import Verdict
from launcher.places import OPTION_PREFIX, confdir
from launcher.proxy_process import PROJECT

__all__ = ["main"]

_DESCRIPTION = """\
Says what works and what does not, one check a line: ok, warning, failed or skipped, and behind the arrow what to do.
It looks at the environment and the folder in which it is started, as Claude Code would. It changes nothing, and sends
no credential. Exit code: 0, or 1 if a check failed."""


def main(arguments: Sequence[str]) -> int:
    """Return the exit code: 0, 1 if a check failed. Bad arguments end it with 2."""
    options = _parser().parse_args(arguments)
    subject = Subject(
        project=PROJECT,
        variables=os.environ,
        directory=Path.cwd(),
        confdir=options.confdir.absolute(),
        state_dir=options.state_dir,
        environment_state=options.environment,
        proxy=options.proxy,
        offline=options.offline,
    )
    return command_line.run("doctor", lambda: _run(subject, json=options.json), {})


def _run(subject: Subject, *, json: bool) -> int:
    examination = Examination(subject)
    findings = [report.without_secrets(finding, examination.variables) for finding in examination.findings()]
    verdict = worst(findings)
    if json:
        print(report.as_json(findings, verdict))
    else:
        terminal = sys.stdout.isatty()
        width = shutil.get_terminal_size().columns if terminal else None
        colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        print("\n".join(report.as_text(findings, width, colour=colour)))
        print(f"\n{report.summary(findings)}")
    return 1 if verdict is Verdict.FAILED else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "doctor", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    proxy = "look at this proxy, http://HOST:PORT, instead of the one that Claude Code would use"
    parser.add_argument("--proxy", metavar="URL", help=proxy)
    parser.add_argument("--offline", action="store_true", help="make no request to Foundry")
    parser.add_argument(
        "--confdir",
        type=Path,
        default=confdir(os.environ),
        metavar="FOLDER",
        help=f"where the certificate authority is (default: ${OPTION_PREFIX}CONFDIR, or certs in the project)",
    )
    parser.add_argument(
        "--state-dir",
        type=Path,
        metavar="FOLDER",
        help=f"where the ledger is (default: ${OPTION_PREFIX}STATE_DIR, or the user's own folder)",
    )
    parser.add_argument("--json", action="store_true", help="everything as one JSON document")
    # What scripts/doctor found out before it started this.
    parser.add_argument(
        "--environment",
        type=EnvironmentState,
        choices=list(EnvironmentState),
        default=EnvironmentState.CURRENT,
        help=argparse.SUPPRESS,
    )
    return parser

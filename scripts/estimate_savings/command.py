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
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from estimate_savings.estimate import Estimate
from estimate_savings.findings import findings
from estimate_savings.report import report
from estimate_savings.transcripts import default_folder, find

__all__ = ["main"]

_NOTHING = 2
_INTERRUPTED = 130
_WIDTH_OF_FILES = 120

_DESCRIPTION = """\
What the engine would have saved on Claude Code's own transcripts: they are replayed through it, offline, and the
saving is put against the input bill that their usage fields tell. Reads the transcripts, and writes nothing."""


def main(arguments: Sequence[str]) -> int:
    """Return the exit code: 0, or 2 with one line on standard error where there is nothing to estimate."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a locale without some character is no reason to stop
    try:
        return _run(options.path, examples=options.examples, as_json=options.json)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # `scripts/estimate | head`: nothing is left to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "estimate", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    where = "transcripts, or folders of them (default: projects in $CLAUDE_CONFIG_DIR or ~/.claude)"
    parser.add_argument("path", nargs="*", type=Path, metavar="PATH", help=where)
    excerpts = "show the N best and worst results, before and after: contents of your transcripts"
    parser.add_argument("--examples", type=_count, default=0, metavar="N", help=excerpts)
    parser.add_argument("--json", action="store_true", help="everything as one JSON document")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of results")
    return int(text)


def _run(paths: Sequence[Path], *, examples: int, as_json: bool) -> int:
    try:
        files = find(paths or [default_folder()])
    except OSError as error:
        return _fail(str(error))
    estimate = Estimate(examples)
    _add(estimate, files)
    if not estimate.bill.requests:
        where = ", ".join(map(str, paths)) or default_folder()
        reasons = "".join(f"; {path}: {why}" for path, why in estimate.skipped.files.items())
        return _fail(f"no transcript with billed requests in {where}{reasons}")
    found = findings(estimate)
    if as_json:
        # ASCII, so that no locale and no lone surrogate gets in the way.
        print(json.dumps(found, indent=2))
    else:
        console = Console(highlight=False)
        # What is not a terminal has no width of its own; tables are not to be folded there.
        report(found, console if console.is_terminal else Console(highlight=False, width=_WIDTH_OF_FILES))
    return 0


def _add(estimate: Estimate, files: Sequence[Path]) -> None:
    """Add all files, with a progress bar where a person is looking."""
    console = Console(stderr=True)
    columns = (
        TextColumn(f"Replaying transcript {{task.fields[at]}} of {len(files)}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    sizes = [_size(file) for file in files]
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=sum(sizes), at=0)
        done = 0.0
        for at, (file, size) in enumerate(zip(files, sizes, strict=True), 1):
            progress.update(task, at=at, completed=done)
            estimate.add_file(file, _advance(progress, task, size))
            done += size


def _advance(progress: Progress, task: TaskID, size: float) -> Callable[[float], None]:
    return lambda share: progress.advance(task, share * size)


def _size(file: Path) -> float:
    try:
        return file.stat().st_size + 1
    except OSError:
        return 1  # gone by now, which reading it will tell


def _fail(line: str) -> int:
    print(f"estimate: {line}", file=sys.stderr)
    return _NOTHING

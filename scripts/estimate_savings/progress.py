"""Adds transcripts to an estimate, with a progress bar where a person is looking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from estimate_savings.estimate import Estimate
from estimate_savings.transcripts import default_folder, find

__all__ = ["NothingToReplay", "add_all"]


class NothingToReplay(Exception):  # noqa: N818 - it is what there is, not a mistake
    """There are no transcripts with requests that were billed."""


def add_all(estimate: Estimate, paths: Sequence[Path]) -> None:
    """Add the transcripts at `paths`, or the client's own where there are none. Raises NothingToReplay."""
    try:
        files = find(paths or [default_folder()])
    except OSError as error:
        raise NothingToReplay(str(error)) from None
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
    if not estimate.bill.requests:
        where = ", ".join(map(str, paths)) or default_folder()
        reasons = "".join(f"; {path}: {why}" for path, why in estimate.skipped.files.items())
        raise NothingToReplay(f"no transcript with billed requests in {where}{reasons}")


def _advance(progress: Progress, task: TaskID, size: float) -> Callable[[float], None]:
    return lambda share: progress.advance(task, share * size)


def _size(file: Path) -> float:
    try:
        return file.stat().st_size + 1
    except OSError:
        return 1  # gone by now, which reading it will tell

"""How far a clock is put forward in tests: nobody waits, and no machine is so slow that a pause comes by itself."""

from __future__ import annotations

from pathlib import Path

__all__ = ["ahead", "put_ahead"]


def ahead(file: Path) -> float:
    """By how many seconds, as `file` says; by none where there is no such file."""
    try:
        return float(file.read_text())
    except FileNotFoundError:
        return 0.0


def put_ahead(file: Path, seconds: float) -> None:
    """Put it forward by so many `seconds` more. Whoever looks meanwhile finds the one or the other."""
    new = file.with_name(f"{file.name}.new")
    new.write_text(repr(ahead(file) + seconds))
    new.replace(file)

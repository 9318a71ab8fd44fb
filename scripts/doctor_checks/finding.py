"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Verdict", "failed", "ok", "skipped", "warning"]


class Verdict(StrEnum):
    """What it means for the user."""

    OK = "ok"
    WARNING = "warning"  # works, but not as one would think
    FAILED = "failed"  # does not work
    SKIPPED = "skipped"  # was not looked at, or there is nothing to look at


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `remedy` is empty where there is nothing to do."""

    name: str
    verdict: Verdict
    detail: str
    remedy: str = ""


def ok(name: str, detail: str) -> Finding:
    """It works."""
    return Finding(name, Verdict.OK, detail)


def warning(name: str, detail: str, remedy: str = "") -> Finding:
    """It works, but not as one would think."""
    return Finding(name, Verdict.WARNING, detail, remedy)


def failed(name: str, detail: str, remedy: str) -> Finding:
    """It does not work, and `remedy` is what to do."""
    return Finding(name, Verdict.FAILED, detail, remedy)


def skipped(name: str, detail: str, remedy: str = "") -> Finding:
    """It was not looked at."""
    return Finding(name, Verdict.SKIPPED, detail, remedy)

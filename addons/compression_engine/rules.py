"""The versions of the rules by which results are written shorter.

A conversation keeps the version that it began with until its prompt cache is cold: another one would write the same
results in other bytes. When the rules change, the new ones get the next number, and those of the version before stay
here, so that an upgrade breaks no cache. What is written says itself how it is read back, whatever the version.
"""

from __future__ import annotations

from typing import Protocol

from compression_engine import results
from compression_engine.history import Shown
from compression_engine.policy import RULES_VERSION
from compression_engine.results import Folded, Source

__all__ = ["VERSIONS", "Fold", "fold_of"]


class Fold(Protocol):
    """Writes a text of a result shorter, or returns None."""

    def __call__(self, text: str, source: Source, shown: Shown, *, may_refer: bool = True) -> Folded | None:
        """See `results.fold`."""


VERSIONS: dict[int, Fold] = {1: results.fold}
"""The rules by their version."""


def fold_of(version: int) -> Fold:
    """The rules of a version; the newest where it is not known: the cache is lost then."""
    return VERSIONS.get(version) or VERSIONS[RULES_VERSION]

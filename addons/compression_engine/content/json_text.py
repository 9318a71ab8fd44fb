"""JSON documents (being written)."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Folded", "fold", "unfold"]


class Folded(NamedTuple):
    """A view and the layout of the original."""

    text: str
    layout: str


def fold(text: str) -> Folded | None:
    """None."""
    del text
    return None


def unfold(view: str, layout: str) -> str | None:
    """None."""
    del view, layout
    return None

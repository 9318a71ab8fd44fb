"""Reading a JSON document that may lack something, or have something else in its place."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["count", "mapping", "number", "text"]


def number(document: Mapping[str, object], key: str) -> float:
    """The number at `key`; 0 if there is none."""
    value = document.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def count(document: Mapping[str, object], key: str) -> int:
    """The whole number at `key`; 0 if there is none."""
    return int(number(document, key))


def mapping(document: Mapping[str, object], key: str) -> Mapping[str, object]:
    """The object at `key`; an empty one if there is none."""
    value = document.get(key)
    return {str(name): part for name, part in value.items()} if isinstance(value, Mapping) else {}


def text(document: Mapping[str, object], key: str) -> str:
    """The text at `key`; empty if there is none."""
    value = document.get(key)
    return value if isinstance(value, str) else ""

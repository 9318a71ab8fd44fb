"""A tool result as it came and as it went, as a unified diff that a person reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher

__all__ = ["cut", "difference", "lines_of"]

_NUMBER = re.compile(r" *\d{1,9}(?:→|\t)")  # as file readings have it in front of their lines
_CONTEXT = 2
# Of many lines in a row that went, or came new, the first and the last are shown.
_FIRST, _LAST = 30, 5
_LONGEST_LINE = 1_000


def lines_of(came: str, went: str) -> int:
    """How many lines there are to compare; a comparison takes time with their square at worst."""
    return came.count("\n") + went.count("\n") + 2


def difference(came: str, went: str, *, numbers_count: bool = True) -> str:
    """The lines that differ, with some around them: `-` as it came, `+` as it went.

    Without `numbers_count`, lines that differ in their line number only are the same, and shown as they came.
    """
    before, after = came.split("\n"), went.split("\n")
    out = []
    matcher = SequenceMatcher(None, _keys(before, numbers_count), _keys(after, numbers_count))
    for group in matcher.get_grouped_opcodes(_CONTEXT):
        (_, first, _, start, _), (_, _, last, _, end) = group[0], group[-1]
        out.append(f"@@ -{first + 1},{last - first} +{start + 1},{end - start} @@")
        for kind, i, j, k, m in group:  # lines i to j became lines k to m
            if kind == "equal":
                out += [f" {cut(line, _LONGEST_LINE)}" for line in before[i:j]]
            else:
                out += [*_marked("-", before[i:j]), *_marked("+", after[k:m])]
    return "\n".join(out)


def _keys(lines: list[str], numbers_count: bool) -> list[str]:  # noqa: FBT001 - handed on
    return lines if numbers_count else [_NUMBER.sub("", line, count=1) for line in lines]


def _marked(mark: str, lines: list[str]) -> Iterator[str]:
    left_out = len(lines) - _FIRST - _LAST
    shown = lines if left_out <= 1 else [*lines[:_FIRST], *lines[-_LAST:]]
    for at, line in enumerate(shown):
        if at == _FIRST and left_out > 1:
            yield f"{mark} … {left_out:,} more lines"
        yield f"{mark}{cut(line, _LONGEST_LINE)}"


def cut(text: str, most: int, between: str = " ") -> str:
    """The beginning of `text`, and how much more there is."""
    return text if len(text) <= most else f"{text[:most]}{between}… {len(text) - most:,} more characters"

"""Search hits of rg and grep: `path:12:text`, context lines `path-13-text`, `--` between groups.

The path is written once, on a line of its own, above the hits of that file, as `rg --heading` does.

Claude Code's Grep shortens paths to relative ones, but only up to a line's first colon: context lines whose text holds
no colon keep the absolute path. Above such lines the absolute path is written, and what it begins with, the *base*, is
stated in the heading.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from compression_engine.content.room import Room

__all__ = ["Grouped", "find", "group", "ungroup"]

# A path has a slash or a dot and no blank; this keeps times of day (`12:30:15 …`) from being read as hits.
_HIT = re.compile(r"((?:[A-Za-z]:)?(?=[^:\n]*[/.\\])[^\s:][^\s:]*):\d+:")
_AFTER_PATH = re.compile(r"\d+[:-]")
_SEPARATOR = "--"


class Grouped(NamedTuple):
    """The lines under their paths, and what the paths of context lines without a colon begin with besides."""

    lines: list[str]
    base: str


def group(lines: Sequence[str]) -> Grouped | None:
    """The hits under a line with their path; None where no file has two hits in a row."""
    paths, base = _paths(lines)
    if not any(paths):
        return None
    out: list[str] = []
    header = -1  # where in `out` the path of the current group stands
    current: str | None = None
    for at, (line, path) in enumerate(zip(lines, paths, strict=True)):
        following = paths[at + 1] if at + 1 < len(lines) else None
        if path is None:
            current = current if line == _SEPARATOR and following == current else None
            out.append(line)
            continue
        if path != current:
            ahead = at + 2 if following is None and lines[at + 1 : at + 2] == [_SEPARATOR] else at + 1
            if ahead >= len(lines) or paths[ahead] != path:
                current = None
                out.append(line)
                continue
            header = len(out)
            out.append(path)
            current = path
        absolute = bool(base) and not line.startswith(path)
        if absolute:
            out[header] = base + path  # so that the whole path is to be seen
        out.append(line[len(path) + 1 + (len(base) if absolute else 0) :])
    return Grouped(out, base) if header >= 0 else None


def find(lines: Sequence[str]) -> list[str | None]:
    """For each of `lines` the file that it is a hit in; with its whole path, where a context line has that."""
    paths, base = _paths(lines)
    whole = {path for line, path in zip(lines, paths, strict=True) if path and base and not line.startswith(path)}
    return [base + path if path in whole else path for path in paths]


def ungroup(lines: Sequence[str], base: str, room: Room) -> list[str]:
    """The lines that `group` was given. Raises TooLongError."""
    out: list[str] = []
    current: str | None = None
    for at, line in enumerate(lines):
        following = lines[at + 1] if at + 1 < len(lines) else ""
        hit = _AFTER_PATH.match(line)
        if current is not None and hit:
            room.take(len(current))
            path = current.removeprefix(base)
            whole = f"{path}{hit[0][-1]}{line}"
            out.append(current + whole[len(path) :] if ":" not in whole else whole)
        elif current is not None and line == _SEPARATOR and _AFTER_PATH.match(following):
            out.append(line)
        elif _AFTER_PATH.match(following) and not _HIT.match(line):
            current = line
        else:
            current = None
            out.append(line)
    return out


def _paths(lines: Sequence[str]) -> tuple[list[str | None], str]:
    """The path of every line that is a hit, or a context line beside a hit of the same file; and the base."""
    hits = [_HIT.match(line) if ":" in line else None for line in lines]
    paths = [hit[1] if hit else None for hit in hits]
    if not any(paths):
        return paths, ""
    base = ""
    for order in (range(len(lines)), range(len(lines) - 1, -1, -1)):
        near: str | None = None
        for at in order:
            if paths[at] is not None:
                near = paths[at]
            elif lines[at] == _SEPARATOR:
                continue
            elif (
                near is not None and (begins := _begins(lines[at], near)) is not None and begins in ("", base or begins)
            ):
                base = base or begins
                paths[at] = near
            else:
                near = None
    return paths, base


def _begins(line: str, path: str) -> str | None:
    """What stands before `path` where `line` is a context line of it."""
    at = line.find(path + "-")
    if at > 0 and (":" in line or line[at - 1] not in "/\\"):
        return None
    after = _AFTER_PATH.match(line, at + len(path) + 1) if at >= 0 else None
    return line[:at] if after is not None and after[0].endswith("-") else None

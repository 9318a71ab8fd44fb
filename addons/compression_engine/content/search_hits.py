"""Search hits of rg and grep: `path:12:text`, context lines `path-13-text`, `--` between groups.

The path is written once, on a line of its own, above the hits of that file, as `rg --heading` does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["group", "ungroup"]

# A path has a slash or a dot and no blank; this keeps times of day (`12:30:15 …`) from being read as hits.
_HIT = re.compile(r"((?:[A-Za-z]:)?(?=[^:\n]*[/.\\])[^\s:][^\s:]*):\d+:")
_AFTER_PATH = re.compile(r"\d+[:-]")
_SEPARATOR = "--"


def group(lines: Sequence[str]) -> list[str] | None:
    """The hits under a line with their path; None where no file has two hits in a row."""
    paths = _paths(lines)
    out = []
    current: str | None = None
    grouped = False
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
            out.append(path)
            current = path
            grouped = True
        out.append(line[len(path) + 1 :])
    return out if grouped else None


def ungroup(lines: Sequence[str]) -> list[str]:
    """What `group` was given."""
    out: list[str] = []
    current: str | None = None
    for at, line in enumerate(lines):
        following = lines[at + 1] if at + 1 < len(lines) else ""
        hit = _AFTER_PATH.match(line)
        if current is not None and hit:
            out.append(f"{current}{hit[0][-1]}{line}")
        elif current is not None and line == _SEPARATOR and _AFTER_PATH.match(following):
            out.append(line)
        elif _AFTER_PATH.match(following) and not _HIT.match(line):
            current = line
        else:
            current = None
            out.append(line)
    return out


def _paths(lines: Sequence[str]) -> list[str | None]:
    """The path of every line that is a hit, or a context line beside a hit of the same file."""
    found = [_HIT.match(line) for line in lines]
    paths = [hit[1] if hit else None for hit in found]
    for order in (range(len(lines)), range(len(lines) - 1, -1, -1)):
        near: str | None = None
        for at in order:
            if paths[at] is not None:
                near = paths[at]
            elif near is not None and lines[at].startswith(near + "-"):
                rest = _AFTER_PATH.match(lines[at], len(near) + 1)
                if rest and rest[0].endswith("-"):
                    paths[at] = near
                else:
                    near = None
            elif lines[at] != _SEPARATOR:
                near = None
    return paths

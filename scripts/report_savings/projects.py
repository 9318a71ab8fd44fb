"""Which project a session of Claude Code belongs to, looked up in the client's own transcripts on this machine.

The ledger holds no paths, only the client's id of its session. Claude Code names a session's transcript after that id
and writes the working directory into its first lines. Nothing else is read of it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

from estimate_savings.transcripts import default_folder

__all__ = ["UNKNOWN", "default_folder", "projects_of"]

UNKNOWN = "unknown"
"""The project of a session that has no transcript here."""

_LINES = 50  # the directory stands in one of the first messages
_LONGEST_LINE = 1_000_000  # characters: a first message may hold a pasted file


def projects_of(sessions: Iterable[str], folder: Path) -> Mapping[str, str]:
    """The projects of `sessions` whose transcripts lie in `folder`, by session: the names of their directories.

    Directories of the same name are told apart by as much of what stands before it as that takes. Sessions that are
    not found are left out. Files that cannot be read count as not found.
    """
    directories = _directories(set(sessions), folder)
    names = _names(set(directories.values()))
    return {session: names[directory] for session, directory in directories.items()}


def _directories(sessions: set[str], folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        transcripts = sorted(folder.glob("*/*.jsonl"))
    except OSError:
        return found
    for transcript in transcripts:
        session = transcript.stem.lower()
        if session in sessions and session not in found and (directory := _working_directory(transcript)):
            found[session] = directory
    return found


def _working_directory(transcript: Path) -> str:
    """Where the session of `transcript` began; empty if that is not known."""
    try:
        with transcript.open(encoding="utf-8", errors="replace") as file:
            for line in islice(iter(lambda: file.readline(_LONGEST_LINE), ""), _LINES):
                try:
                    value = json.loads(line)
                except (ValueError, RecursionError):
                    continue
                directory = value.get("cwd") if isinstance(value, dict) else None
                if isinstance(directory, str) and directory:
                    return directory
    except OSError:
        pass
    return ""


def _names(directories: set[str]) -> dict[str, str]:
    """A short name for each, none of them twice."""
    paths = {directory: _path(directory) for directory in directories}
    names: dict[str, str] = {}
    length = 1
    while len(names) < len(paths):
        short = {directory: _last(path, length) for directory, path in paths.items() if directory not in names}
        counts = Counter(short.values())
        names |= {directory: name for directory, name in short.items() if counts[name] == 1}
        # Where there is no more to tell it by, all of it is its name.
        names |= {path: path for path in short if path not in names and length >= len(paths[path].parts)}
        length += 1
    return names


def _path(directory: str) -> PurePath:
    is_windows = "\\" in directory and not directory.startswith("/")
    return PureWindowsPath(directory) if is_windows else PurePosixPath(directory)


def _last(path: PurePath, parts: int) -> str:
    kept = path.parts[-parts:]
    return "/".join(part for part in kept if part != path.anchor) or str(path)

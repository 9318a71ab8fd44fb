"""The transcripts that Claude Code keeps: one JSON object a line, of many types, some of them messages.

Measured with Claude Code 2.1.197, and lenient towards others: what is not understood is passed over and counted.

- `uuid` and `parentUuid` make a tree. A rewind or an edited prompt makes a branch; a compaction starts a new root.
- An API message of the assistant is split over several lines, a content block each, all with its `message.id` and
  `usage`. Each of several parallel tool results is a line of its own, below the call that it answers.
- A forked session copies the lines of the first one into a file of its own, ids and usage included.
- What a compaction preserves keeps its place in the file; `compactMetadata` tells where in the tree it belongs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from estimate_savings.bill import Usage

__all__ = ["Compaction", "Entry", "Transcript", "default_folder", "find", "read"]

type Json = dict[str, Any]


class Compaction(NamedTuple):
    """Where the messages that a compaction preserved belong: below the anchor; and below their last one what is new."""

    parents: Mapping[str, str] = MappingProxyType({})  # of the preserved ones, by uuid
    anchor: str = ""
    last: str = ""

    def parent(self, uuid: str, parent: str) -> str:
        """The parent of the entry `uuid`, which the file puts below `parent`."""
        if uuid in self.parents:
            return self.parents[uuid]
        return self.last if parent and parent == self.anchor else parent


@dataclass(frozen=True, slots=True)
class Entry:
    """A line that has a place in the tree. `role` is empty where the line is no message that the client sends."""

    index: int  # place in the file
    uuid: str
    parent: str
    role: str = ""
    content: list[Any] = field(default_factory=list)
    request: str = ""  # of an assistant's line: which request it answers; equal for the lines of one API message
    model: str = ""
    usage: Usage | None = None
    adds_unknown: bool = False  # the client puts something of its own making into the request here
    compaction: Compaction | None = None
    at: float | None = None  # when it was written, in seconds since 1970


@dataclass(slots=True)
class Transcript:
    """A file's lines, the unreadable ones only counted."""

    path: Path
    project: str  # the working directory that the session began in
    session: str
    entries: list[Entry] = field(default_factory=list)
    unreadable: int = 0


def default_folder() -> Path:
    """Where Claude Code keeps its transcripts."""
    configured = os.environ.get("CLAUDE_CONFIG_DIR")
    return (Path(configured).expanduser() if configured else Path.home() / ".claude") / "projects"


def find(paths: Iterable[Path]) -> list[Path]:
    """The files among `paths`, and the transcripts anywhere in the folders among them. Each once, in order.

    Raises FileNotFoundError.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found.update(dict.fromkeys(sorted(file.resolve() for file in path.rglob("*.jsonl") if file.is_file())))
        elif path.exists():
            found[path.resolve()] = None
        else:
            raise FileNotFoundError(f"there is no {path}")
    return list(found)


def read(path: Path) -> Transcript:
    """Read the file at `path`, line by line. Raises OSError."""
    transcript = Transcript(path, project="", session="")
    with path.open("rb") as file:
        for index, line in enumerate(file):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                value = None
            if not isinstance(value, dict):
                transcript.unreadable += 1
                continue
            transcript.project = transcript.project or _text(value, "cwd")
            transcript.session = transcript.session or _text(value, "sessionId")
            entry = _entry(index, value)
            if entry is not None:
                transcript.entries.append(replace(entry, at=_time(value)))
    transcript.project = transcript.project or path.parent.name
    transcript.session = transcript.session or path.stem
    return transcript


def _entry(index: int, value: Json) -> Entry | None:
    uuid, parent = _text(value, "uuid"), _text(value, "parentUuid")
    if not uuid:
        return None
    message = value.get("message")
    kind = value.get("type")
    if kind in ("user", "assistant") and isinstance(message, dict) and not value.get("isApiErrorMessage"):
        content = message.get("content")
        if isinstance(content, str):
            content = [{"type": "text", "text": content}] if content else []
        if not isinstance(content, list):
            return Entry(index, uuid, parent)
        if kind == "user":
            return Entry(index, uuid, parent, "user", content)
        return Entry(
            index,
            uuid,
            parent,
            "assistant",
            content,
            # Two attempts may share a message's id, never a request's.
            request=f"{_text(message, 'id') or uuid} {_text(value, 'requestId')}",
            model=_text(message, "model"),
            usage=Usage.read_from(message.get("usage")),
        )
    if kind == "system" and value.get("subtype") == "compact_boundary":
        return Entry(index, uuid, parent, adds_unknown=True, compaction=_compaction(value.get("compactMetadata")))
    return Entry(index, uuid, parent, adds_unknown=kind == "attachment")


def _compaction(metadata: object) -> Compaction:
    found: Json = metadata if isinstance(metadata, dict) else {}
    messages, segment = found.get("preservedMessages"), found.get("preservedSegment")
    if isinstance(messages, dict) and isinstance(messages.get("uuids"), list) and messages["uuids"]:
        anchor, uuids = _text(messages, "anchorUuid"), [str(uuid) for uuid in messages["uuids"]]
        return Compaction(dict(zip(uuids, [anchor, *uuids], strict=False)), anchor, uuids[-1])
    if isinstance(segment, dict):
        anchor = _text(segment, "anchorUuid")
        return Compaction({_text(segment, "headUuid"): anchor}, anchor, _text(segment, "tailUuid"))
    return Compaction()


def _time(value: Json) -> float | None:
    try:
        return datetime.fromisoformat(_text(value, "timestamp")).timestamp()
    except (ValueError, OverflowError):
        return None


def _text(value: Json, name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""

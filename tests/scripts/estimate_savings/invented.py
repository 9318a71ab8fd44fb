"""Invented transcripts, in the shape that Claude Code 2.1.197 gives them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = ["NEW", "NOISE", "OLD", "InventedTranscript", "usage", "with_a_pause"]

NOISE = "WARN the queue is full\n" * 60
"""A tool's output of which nearly all can be left out."""

OLD, NEW = (
    "".join(f"{hashlib.sha256(f'{name} {number}'.encode()).hexdigest()[: 9 + number % 31]}\n" for number in range(300))
    for name in ("plums", "pears")
)
"""Outputs of which nothing can be left out, of some thousand tokens each."""

_START = datetime(2026, 3, 1, tzinfo=UTC).timestamp()

type Json = dict[str, Any]


def usage(plain: int = 0, write: int = 0, read: int = 0, write_1h: int = 0) -> Json:
    return {
        "input_tokens": plain,
        "cache_creation_input_tokens": write + write_1h,
        "cache_read_input_tokens": read,
        "output_tokens": 7,
        "cache_creation": {"ephemeral_5m_input_tokens": write, "ephemeral_1h_input_tokens": write_1h},
    }


@dataclass
class InventedTranscript:
    """Each method adds a line, below the one before unless told otherwise, and returns its uuid.

    A line is written a second after the one before, but for pauses. Without `clock` no line tells when it was written.
    """

    session: str = "session-1"
    project: str = "/home/someone/project"
    model: str = "claude-made-up"
    lines: list[Json] = field(default_factory=list)
    last: str = ""
    clock: bool = False
    now: float = _START

    def pause(self, minutes: float) -> None:
        self.now += 60 * minutes

    def add(self, kind: str, *, below: str | None = None, **values: Any) -> str:
        uuid = f"{self.session}-{len(self.lines)}"
        parent = self.last if below is None else below
        own: Json = {"uuid": uuid, "parentUuid": parent or None, "type": kind, "isSidechain": False}
        self.now += 1
        if self.clock:
            own["timestamp"] = datetime.fromtimestamp(self.now, UTC).isoformat().replace("+00:00", "Z")
        self.lines.append(own | {"cwd": self.project, "sessionId": self.session, "toolUseResult": {"x": [1]}} | values)
        self.last = uuid
        return uuid

    def say(self, text: str, **values: Any) -> str:
        return self.add("user", message={"role": "user", "content": text}, **values)

    def answer(self, name: str, billed: Json | None, *blocks: Json | str, **values: Any) -> str:
        """The answer `name`, a line a block."""
        for block in blocks:
            content: list[Json] = [{"type": "text", "text": block} if isinstance(block, str) else block]
            message: Json = {"id": f"msg_{name}", "role": "assistant", "model": self.model, "content": content}
            if billed is not None:
                message["usage"] = billed
            self.add("assistant", message=message, requestId=f"req_{name}", **values)
            values.pop("below", None)
        return self.last

    def result(self, call: str, content: str | list[Json], **values: Any) -> str:
        block = {"type": "tool_result", "tool_use_id": f"toolu_{call}", "content": content}
        return self.add("user", message={"role": "user", "content": [block]}, **values)

    def write(self, folder: Path, name: str = "transcript.jsonl") -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / name
        file.write_text("".join(json.dumps(line) + "\n" for line in self.lines))
        return file

    @staticmethod
    def call(name: str, tool: str = "Bash", **inputs: str) -> Json:
        given = inputs or {"command": f"run {name}"}
        return {"type": "tool_use", "id": f"toolu_{name}", "name": tool, "input": given}


def with_a_pause(minutes: float, written: str = "write", *, clock: bool = True) -> InventedTranscript:
    """Six requests: the second to fourth send OLD, NOISE and NEW; the pause is before the fifth.

    NEW comes of a change to a file, so what was there before it is old by then.
    """
    invented = InventedTranscript(clock=clock)
    invented.say("Go.")
    sent = {"old": OLD, "noise": NOISE, "new": NEW}
    for number, (name, text) in enumerate(sent.items()):
        change = {"tool": "Write", "file_path": "/x", "content": "x"} if name == "new" else {}
        invented.answer(name, usage(read=5000 * number, **{written: 5000}), invented.call(name, **change))
        invented.result(name, text)
    invented.answer("4", usage(read=15_000, **{written: 5000}), "Done.")
    invented.pause(minutes)
    invented.say("Go on.")
    invented.answer("5", usage(**{written: 21_000}), invented.call("more"))
    invented.result("more", "nothing more")
    invented.answer("6", usage(read=21_000, **{written: 100}), "Done.")
    return invented

"""Conversations of any size, made up from this project's own files and from lines of a log."""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["Conversation"]

_PROJECT = Path(__file__).resolve().parents[3]
_STEP = 12_000  # characters of a result, about what a reading of a file has
_LEVELS = ("INFO", "INFO", "INFO", "DEBUG", "WARN")


@cache
def _lines() -> list[str]:
    files = sorted((_PROJECT / "addons").rglob("*.py"))
    return [line for file in files for line in file.read_text(encoding="utf-8").split("\n")]


class Conversation:
    """What a client would send. No two have a line in common that is long enough to refer to."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - nothing is to be secret
        self._seed = seed
        self._uses = 0
        self.messages: list[dict[str, Any]] = [{"role": "user", "content": f"Look into the matter {seed}."}]

    def grow(self, characters: int) -> None:
        """Add calls and their results, so many characters in all."""
        while characters > 0:
            call, result = self._pair(min(_STEP, characters))
            self.messages += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
            characters -= _STEP

    def ask_for(self, characters: int) -> None:
        """Add one answer with many calls, and all their results in the message behind it."""
        calls: list[Any] = []
        results: list[Any] = []
        while characters > 0:
            call, result = self._pair(min(_STEP, characters))
            calls.append(call)
            results.append(result)
            characters -= _STEP
        self.messages += [{"role": "assistant", "content": calls}, {"role": "user", "content": results}]

    def body(self) -> bytes:
        """As Claude Code writes it."""
        whole = {"model": "made-up", "messages": self.messages, "max_tokens": 9, "tools": [{"name": "Read"}]}
        return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()

    def _pair(self, characters: int) -> tuple[dict[str, Any], dict[str, Any]]:
        self._uses += 1
        use_id = f"toolu_{self._seed}_{self._uses}"
        if self._uses % 3:
            name, inputs, text = "Read", {"file_path": f"/x/{self._uses}.py"}, self._reading(characters)
        else:
            name, inputs, text = "Bash", {"command": f"make step-{self._uses}"}, self._log(characters)
        call = {"type": "tool_use", "id": use_id, "name": name, "input": inputs}
        return call, {"type": "tool_result", "tool_use_id": use_id, "content": text}

    def _reading(self, characters: int) -> str:
        source = _lines()
        rows: list[str] = []
        size = 0
        at = self._random.randrange(len(source))
        while size < characters:
            row = f"{len(rows) + 1}\t{source[(at + len(rows)) % len(source)]}"
            if not len(rows) % 5:
                row += f"  # {self._random.randrange(10**6)}"
            rows.append(row)
            size += len(row) + 1
        return "\n".join(rows)

    def _log(self, characters: int) -> str:
        rows: list[str] = []
        size = 0
        while size < characters:
            level, item = self._random.choice(_LEVELS), self._random.randrange(10**5)
            row = f"2026-01-01T10:{len(rows) % 60:02}:00 {level} worker-{item % 7} took item {item} in {item % 97} ms"
            rows.append(row)
            size += len(row) + 1
        return "\n".join(rows)

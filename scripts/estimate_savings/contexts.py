"""The requests behind a transcript: what the client sent before each answer that it got.

A *context* is a path through the tree that ends at a request which no other request goes on from. Every request of the
transcript is on one of them, those before a rewind on several. A request sends what stands before its answer on the
path, so the messages of a path's last request hold those of all others.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from compression_engine import tokens
from estimate_savings.bill import Usage
from estimate_savings.transcripts import Compaction, Entry, Transcript

__all__ = ["Part", "Request", "Step", "contexts"]

_COUNTED = frozenset({"text", "tool_use", "tool_result"})


class Part:
    """A message, or one of several that the client sends as one: `role` and `content` as in the Messages API."""

    def __init__(self, role: str, content: list[Any]) -> None:
        self.role = role
        self.content = [block for block in content if isinstance(block, dict)]

    @cached_property
    def tokens(self) -> int:
        """o200k_base tokens of its texts."""
        return sum(tokens.count(text) for text in _texts(self.content))

    @cached_property
    def is_counted(self) -> bool:
        """Whether `tokens` is about all that it holds: no images, no thinking."""
        blocks = [*self.content, *(inner for block in self.content for inner in _inner(block))]
        return all(block.get("type") in _COUNTED for block in blocks)


@dataclass(slots=True)
class Request:
    """A request by what is known of it. `id` is the same in every file that holds a copy."""

    id: str
    model: str
    usage: Usage | None


@dataclass(slots=True)
class Step:
    """A request, the messages that are new since the step before it on its path, and the answer that it got.

    `at` is about when it was sent, in seconds since 1970: when the last of what is new in it was there.
    """

    request: Request
    parts: list[Part] = field(default_factory=list)
    adds_unknown: bool = False  # the client added something that the transcript does not show as it was sent
    answer: Part = field(default_factory=lambda: Part("assistant", []))
    at: float | None = None


@dataclass
class _Answer:
    """The lines of one API message, and the lines with results of its tool calls."""

    entries: list[Entry]
    results: list[Entry] = field(default_factory=list)

    @property
    def index(self) -> int:
        return self.entries[0].index

    @cached_property
    def part(self) -> Part:
        return Part("assistant", [block for entry in self.entries for block in entry.content])


def contexts(transcript: Transcript) -> Iterator[list[Step]]:
    """Every context of `transcript`, in the order of the file: its requests with what each sent first."""
    return _Tree(transcript.entries).contexts()


class _Tree:
    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries: dict[str, Entry] = {}
        self._answers: dict[str, _Answer] = {}
        self._callers: dict[str, _Answer] = {}  # by tool_use_id
        self._answered: set[str] = set()  # uuids of lines with results
        self._parts: dict[str, Part] = {}  # by uuid of a user's line
        self._compactions: list[Entry] = []
        for entry in entries:
            if entry.uuid not in self._entries:
                self._entries[entry.uuid] = entry
                self._add(entry)

    def _add(self, entry: Entry) -> None:
        if entry.compaction:
            self._compactions.append(entry)
        if entry.role == "assistant":
            answer = self._answers.setdefault(entry.request, _Answer([]))
            answer.entries.append(entry)
            for block in entry.content:
                if isinstance(block, dict) and block.get("type") == "tool_use":
                    self._callers[str(block.get("id"))] = answer
        elif entry.role == "user":
            self._parts[entry.uuid] = part = Part("user", entry.content)
            called_by = [self._callers.get(str(block.get("tool_use_id"))) for block in part.content]
            caller = next((found for found in called_by if found is not None), None)
            if caller is not None:
                caller.results.append(entry)
                self._answered.add(entry.uuid)

    def contexts(self) -> Iterator[list[Step]]:
        above = {id(answer): self._answer_above(answer) for answer in self._answers.values()}
        gone_on_from = {id(found) for found in above.values()}
        for answer in self._answers.values():
            if id(answer) not in gone_on_from:
                yield self._steps(answer, list(self._path(answer))[::-1])

    def _answer_above(self, answer: _Answer) -> _Answer | None:
        """The answer that the request for `answer` went on from."""
        path = self._path(answer)
        for found in path:
            if not isinstance(found, _Answer):
                continue
            crossed = any(found.index < compaction.index < answer.index for compaction in self._compactions)
            preserved = crossed and any(isinstance(above, Entry) and above.compaction for above in path)
            return None if preserved else found
        return None

    def _steps(self, last: _Answer, path: list[_Answer | Entry]) -> list[Step]:
        """The steps along `path`, which leads from the root to what stands before `last`."""
        steps = []
        parts: list[Part] = []
        times: list[float] = []
        unknown = False
        compacted = -1
        for found in (*path, last):
            if isinstance(found, Entry):
                unknown = unknown or found.adds_unknown
                compacted = found.index if found.compaction else compacted
                parts += self._parts_of([found])
                times += _times([found])
                continue
            if found.index > compacted:
                at = min([max(times or [math.inf]), *_times(found.entries)])
                steps.append(Step(_request(found), parts, unknown, found.part, at if math.isfinite(at) else None))
                parts, times, unknown = [], [], False
            # What came in after the last request went out is not in it.
            results = [entry for entry in found.results if entry.index < last.index]
            parts += [found.part, *self._parts_of(results)]
            times += _times(results)
        return steps

    def _parts_of(self, entries: Iterable[Entry]) -> list[Part]:
        return [self._parts[entry.uuid] for entry in entries if entry.uuid in self._parts]

    def _path(self, answer: _Answer) -> Iterator[_Answer | Entry]:
        """What stands before `answer`, the nearest first."""
        first = answer.entries[0]
        compactions = [entry.compaction for entry in self._compactions if entry.index < first.index]
        met = {first.uuid, first.request}
        at = self._above(first, compactions)
        while at is not None and at.uuid not in met:
            met.add(at.uuid)
            if at.role == "assistant":
                if at.request not in met:
                    met.add(at.request)
                    yield self._answers[at.request]
            elif at.uuid not in self._answered:  # results come with the answer that asked for them
                yield at
            at = self._above(at, compactions)

    def _above(self, entry: Entry, compactions: list[Compaction | None]) -> Entry | None:
        parent = entry.parent
        for compaction in compactions:
            if compaction is not None:
                parent = compaction.parent(entry.uuid, parent)
        return self._entries.get(parent)


def _request(answer: _Answer) -> Request:
    first = answer.entries[0]
    usages = [entry.usage for entry in answer.entries if entry.usage is not None]
    # Some versions write a line before the usage is known.
    return Request(first.request, first.model, max(usages, key=lambda usage: usage.total, default=None))


def _times(entries: Iterable[Entry]) -> list[float]:
    return [entry.at for entry in entries if entry.at is not None]


def _texts(content: Iterable[dict[str, Any]]) -> Iterator[str]:
    for block in content:
        if isinstance(block.get("text"), str):
            yield block["text"]
        if block.get("type") == "tool_use":
            yield f"{block.get('name')} {json.dumps(block.get('input'), ensure_ascii=False)}"
        if isinstance(block.get("content"), str):
            yield block["content"]
        yield from _texts(_inner(block))


def _inner(block: dict[str, Any]) -> list[dict[str, Any]]:
    content = block.get("content")
    return [inner for inner in content if isinstance(inner, dict)] if isinstance(content, list) else []

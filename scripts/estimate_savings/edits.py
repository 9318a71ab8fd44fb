"""Edits that change text which a line stands for by then: the assistant would have had to read it again first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from compression_engine import SET_ASIDE
from estimate_savings.contexts import Part, Step
from estimate_savings.replay import Result

__all__ = ["is_out_of_view", "lines_to_edit"]

# Shorter lines stand everywhere.
_LEAST_CHARACTERS = 8


def lines_to_edit(answer: Part) -> list[str]:
    """The lines that tool calls in `answer` take out of files, without the blanks around them."""
    inputs = [block.get("input") for block in answer.content if block.get("type") == "tool_use"]
    lines = (line.strip() for text in _members(inputs, "old_string") for line in text.split("\n"))
    return [line for line in dict.fromkeys(lines) if len(line) >= _LEAST_CHARACTERS]


def is_out_of_view(lines: Iterable[str], results: Iterable[Result], steps: Sequence[Step]) -> bool:
    """Whether any of `lines` stood in `results`, and no longer does since some are set aside.

    What else `steps` sent, the assistant's own words among it, is in view.
    """
    results = list(results)
    aside = [result.sent for result in results if result.kind == SET_ASIDE]
    gone = [line for line in lines if any(line in text for text in aside)]
    gone = [line for line in gone if not any(line in result.arrived for result in results)]
    return any(not any(line in text for text in _said(steps)) for line in gone)


def _said(steps: Iterable[Step]) -> Iterator[str]:
    for step in steps:
        for part in step.parts:
            yield from _strings([block for block in part.content if block.get("type") != "tool_result"])


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)


def _members(value: Any, name: str) -> Iterator[str]:
    """The strings that are called `name` in objects anywhere in `value`."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            if key == name and isinstance(inner, str):
                yield inner
            else:
                yield from _members(inner, name)

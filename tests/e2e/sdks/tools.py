"""The tools of the small agents in this folder, and what they answer: the same in every run, of any client."""

from __future__ import annotations

import hashlib
from typing import Any

__all__ = ["INSTRUCTIONS", "PARAMETERS", "question", "run"]

INSTRUCTIONS = "You look at a made-up project, naïvely."

PARAMETERS: dict[str, dict[str, Any]] = {
    name: {
        "type": "object",
        "properties": {argument: {"type": "string"}},
        "required": [argument],
        "additionalProperties": False,
    }
    for name, argument in (("read_file", "path"), ("run_command", "command"))
}
"""The JSON schema of each tool's inputs, by its name."""


def question(variant: str) -> str:
    """What a conversation begins with; `variant` tells conversations apart."""
    return f"Where do prices come from? Read it twice; “{variant}” is asked for."


def run(name: str, inputs: dict[str, Any]) -> str:
    """What a tool answers."""
    if name == "read_file" and not inputs["path"].endswith(".py"):
        return f"Error: no such file: {inputs['path']}"
    if name == "read_file":
        return "\n".join(f"{number:6}\t{line}" for number, line in enumerate(_source(inputs["path"]), 1))
    if inputs["command"].startswith("cat "):
        return "\n".join(_source(inputs["command"].removeprefix("cat ")))
    if inputs["command"] == "ls":
        return "\n".join(hashlib.sha256(b"%d" % number).hexdigest() for number in range(40))
    warnings = ["WARN the queue is full"] * 60
    return "\n".join([f"$ {inputs['command']}", *warnings, '✓ 60 checks, 1 «odd» one: \\d+\t"quoted"', ""])


def _source(path: str) -> list[str]:
    lines = [f'"""Prices, of {path}."""', ""]
    for number in range(40):
        lines += [
            f"def price_of_item_{number}(pieces: int) -> Decimal:",
            f'    """What `pieces` of item {number} cost, in €."""',
            f'    return Decimal("{37 * number + 5}.{number:02}") * pieces',
            "",
        ]
    return lines

"""The demo client's tools: they work on the spot and word their results as Claude Code does."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from demo.answers import ToolUse

__all__ = ["run_tool"]

_SECONDS = 30


def run_tool(call: ToolUse, directory: Path) -> tuple[str, bool]:
    """Do `call` in `directory`. Returns the text of the result and whether it is an error."""
    tools = {"Bash": _bash, "Read": _read, "Edit": _edit}
    return tools[call.name](call.input, directory)


def _bash(arguments: dict[str, Any], directory: Path) -> tuple[str, bool]:
    done = subprocess.run(
        ["/bin/sh", "-c", arguments["command"]],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,  # in the order in which it was written, as Claude Code has it
        check=False,
        timeout=_SECONDS,
    )
    text = done.stdout.decode(errors="replace").rstrip("\n")
    if done.returncode:
        return f"Exit code {done.returncode}\n{text}", True
    return text or "(Bash completed with no output)", False


def _read(arguments: dict[str, Any], directory: Path) -> tuple[str, bool]:
    try:
        lines = (directory / arguments["file_path"]).read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return f"File does not exist. Note: your current working directory is {directory}.", True
    return "\n".join(f"{number}\t{line}" for number, line in enumerate(lines, 1)), False


def _edit(arguments: dict[str, Any], directory: Path) -> tuple[str, bool]:
    path = directory / arguments["file_path"]
    before = path.read_text(encoding="utf-8")
    if arguments["old_string"] not in before:
        return "<tool_use_error>String to replace not found in file.</tool_use_error>", True
    path.write_text(before.replace(arguments["old_string"], arguments["new_string"], 1), encoding="utf-8")
    state = "(file state is current in your context — no need to Read it back)"
    return f"The file {path} has been updated successfully. {state}", False

"""What the stand-in says in the tests, in the place of a model, and the small project that it works on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from demo.answers import Answer, ToolUse
from demo.stand_in import Request

__all__ = ["SOURCE", "bash", "make_project", "read", "session", "sub_agents"]

SOURCE = "inventory.py"
_HELPER_PROMPT = "Helper: look for the prices."


def make_project(directory: Path) -> None:
    """Write a source file of about 200 lines, no two functions alike, and two more that name its functions."""
    directory.mkdir()
    colours = ("red", "green", "blue", "white", "black")
    lines = ['"""Prices and stocks of made-up goods."""', "", "from decimal import Decimal", ""]
    for number in range(28):
        colour, price = colours[number % len(colours)], 37 * number + 5
        lines += [
            "",
            f"def price_of_{colour}_item_{number}(pieces: int) -> Decimal:",
            f'    """What `pieces` of item {number} cost, the {colour} one."""',
            f"    if pieces > {number * 3 + 2}:",
            f'        return Decimal("{price}.{number:02}") * pieces * Decimal("0.{99 - number}")',
            f'    return Decimal("{price}.{number:02}") * pieces',
            "",
        ]
    (directory / SOURCE).write_text("\n".join(lines), encoding="utf-8")
    names = [line.split("(")[0].removeprefix("def ") for line in lines if line.startswith("def ")]
    for user in ("orders", "quotes"):
        body = "\n".join(f"{user}_{number} = inventory.{name}({number})" for number, name in enumerate(names))
        (directory / f"{user}.py").write_text(f"import inventory\n\n{body}\n", encoding="utf-8")


def bash(command: str) -> ToolUse:
    return ToolUse("Bash", {"command": command, "description": "Run a command"})


def read(path: Path, **arguments: int) -> ToolUse:
    return ToolUse("Read", {"file_path": str(path), **arguments})


def session(directory: Path) -> list[Answer]:
    """A session with every kind of result that is rewritten, and with those that are not."""
    source = directory / SOURCE
    change: dict[str, Any] = {
        "file_path": str(source),
        "old_string": "def price_of_blue_item_12(",
        "new_string": "def price_of_azure_item_12(",
    }
    progress = "for n in $(seq 0 2 100); do printf '\\rBuilding %3d%%' $n; done; printf '\\rBuilt 51 parts\\n'"
    return [
        Answer(("I look around.", bash("ls -l"), bash("grep -rn price_of_ ."))),
        Answer((read(source),)),
        Answer((ToolUse("Edit", change),)),
        Answer(("I read it again.", read(source))),
        Answer((bash("echo before; grep -n price_of_azure *.py; cat missing.txt"),)),
        # The client appends a reminder to the last result of this turn: a rewritten one has to carry it on.
        Answer((bash(progress), bash("for n in $(seq 80); do echo 'WARN the queue is full'; done"))),
        Answer((ToolUse("Write", {"file_path": str(directory / "notes.md"), "content": "azure, not blue\n"}),)),
        Answer((read(source), read(directory / "notes.md"), read(directory / "absent.py"))),
        Answer(("The session is over.",)),
    ]


def sub_agents(directory: Path) -> Callable[[Request], Answer]:
    """A session that hands work to two sub-agents; each request is known by its first message."""
    source = directory / SOURCE
    helper = [
        Answer(("I search.", bash("grep -rn price_of_ ."))),
        Answer((read(source),)),
        Answer(("The prices are in inventory.py.",)),
    ]
    call = {"description": "Look for prices", "prompt": _HELPER_PROMPT}
    main = [
        Answer(
            (
                "I ask for help.",
                ToolUse("Agent", call | {"subagent_type": "Explore"}),
                ToolUse("Agent", call | {"subagent_type": "general-purpose"}),
            )
        ),
        Answer((read(source),)),
        Answer(("The session is over.",)),
    ]

    def answer(request: Request) -> Answer:
        script = helper if _HELPER_PROMPT in str(request.json["messages"][0]) else main
        return script[min(request.turn, len(script) - 1)]

    return answer

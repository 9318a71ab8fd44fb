"""Sessions of Claude Code, made up from small pieces."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from compression_engine import statements
from tests.compression_engine.bodies import numbered, source_lines

REMINDER = "<system-reminder>\nKeep it short.\n</system-reminder>"
FILE = source_lines(80)

PATHS = ["src/a.py", "src/b.py", "/home/dev/project/src/long/name/of/a/module.py"]
LINES = st.sampled_from(
    [*source_lines(12), "", "}", "    return None", "3\tx", "[lines 2-9 as shown above]", "error: x"]
)


@st.composite
def readings(draw: st.DrawFn) -> str:
    first = draw(st.integers(1, 30))
    lines = FILE[first : first + draw(st.integers(0, 50))] + draw(st.lists(LINES, max_size=8)) + FILE[first + 30 : 60]
    mark, width = draw(st.sampled_from([("\t", 0), ("→", 6)]))
    return (
        draw(st.sampled_from(["", REMINDER + "\n"]))
        + numbered(lines, first, mark, width)
        + draw(st.sampled_from(["", "\n", f"\n\n{REMINDER}\n"]))
    )


@st.composite
def outputs(draw: st.DrawFn) -> str:
    hits = [f"{path}:{n}:{FILE[n]}" for path in draw(st.lists(st.sampled_from(PATHS), max_size=3)) for n in range(9)]
    parts = [
        "\n".join(hits),
        "\n".join(FILE[draw(st.integers(0, 40)) :]),
        "waiting for the database to come up\n" * draw(st.integers(0, 30)),
        "".join(f"\r{n:3}% \x1b[32m{'#' * n}\x1b[0m" for n in range(draw(st.integers(0, 30)))),
        draw(st.text(st.characters(codec=None), max_size=60)),
        f"[view {draw(st.sampled_from(['000000', statements.code_for('toolu_1')]))}: hits grouped by file]",
        REMINDER,
    ]
    return "\n".join(draw(st.lists(st.sampled_from(parts), max_size=4)))


@st.composite
def sessions(draw: st.DrawFn) -> list[Any]:
    """Messages of a session, every turn an assistant message and an answer to it."""
    messages: list[Any] = [{"role": "user", "content": "Do it."}]
    for turn in range(draw(st.integers(1, 6))):
        path = draw(st.sampled_from(PATHS))
        ids = [f"toolu_{turn}_{n}" for n in range(draw(st.integers(1, 2)))]
        calls = []
        answers = []
        for tool_use_id in ids:
            kind = draw(st.sampled_from(["Read", "Bash", "Write", "Edit", "mcp__x__y"]))
            inputs = {
                "Read": {"file_path": path},
                "Bash": {"command": f"cat {path}"},
                "Write": {"file_path": path, "content": "\n".join(FILE)},
                "Edit": {"file_path": path, "old_string": "x", "new_string": "\n".join(FILE[20:30])},
                "mcp__x__y": {"anything": [1, {"deep": None}]},
            }[kind]
            calls.append({"type": "tool_use", "id": tool_use_id, "name": kind, "input": inputs})
            text = draw(readings() if kind in ("Read", "Edit", "Write") else outputs())
            content: Any = text
            if kind == "mcp__x__y":
                content = [
                    {"type": "text", "text": text},
                    {"type": "image", "source": {}},
                    {"type": "text", "text": text},
                ]
            answers.append(
                {"tool_use_id": tool_use_id, "type": "tool_result", "content": content}
                | draw(st.sampled_from([{}, {"is_error": False}, {"is_error": True}]))
            )
        messages.append(
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": "s"}, *calls]}
        )
        messages.append({"role": "user", "content": [*answers, {"type": "text", "text": "Go on."}]})
        if draw(st.booleans()):
            messages += [{"role": "assistant", "content": "Done."}, {"role": "user", "content": f"And now {turn}?"}]
    return messages

"""What the stand-in says in the demo, in the place of a model: it looks around and changes a copy of a file.

The client's working directory is an empty one in which `project` leads to this project. Nothing writes there.
"""

from __future__ import annotations

from demo.answers import Answer, ToolUse

__all__ = ["CONVERSATION", "QUESTION"]

QUESTION = "How does the stand-in answer a request, and can a connection be silent for longer in a copy of it?"

_FILE = "project/scripts/demo/stand_in.py"
_COPY = "stand_in_copy.py"


def _bash(command: str, description: str) -> ToolUse:
    return ToolUse("Bash", {"command": command, "description": description})


CONVERSATION = (
    Answer(
        (
            "I look at the layout and at where functions are defined.",
            _bash("ls -l project/addons project/addons/compression_engine project/scripts", "List the project"),
            _bash("grep -rn 'def ' project/addons project/scripts --include=*.py", "Find functions"),
        )
    ),
    Answer(("I read the stand-in.", ToolUse("Read", {"file_path": _FILE}))),
    Answer(
        (
            "I make a copy and read it.",
            _bash(f"cp {_FILE} {_COPY}", "Copy the file"),
            ToolUse("Read", {"file_path": _COPY}),
        )
    ),
    Answer(
        (
            "I change the copy.",
            ToolUse(
                "Edit",
                {"file_path": _COPY, "old_string": "_SILENCE = 120.0", "new_string": "_SILENCE = 300.0"},
            ),
        )
    ),
    Answer(("I read it again.", ToolUse("Read", {"file_path": _COPY}))),
    Answer(
        (
            "I pack the copy and look for a lock.",
            _bash(
                "for percent in $(seq 0 2 100); do printf '\\rPacking %3d%%' $percent; done; "
                f"gzip -kf {_COPY}; printf '\\rPacked to %d bytes\\n' $(wc -c < {_COPY}.gz)",
                "Pack, with progress",
            ),
            _bash(
                "for attempt in $(seq 60); do test -e build.lock || echo 'WARN no build.lock yet'; done",
                "Wait for a lock",
            ),
            _bash("cat missing.txt", "Read a file that is not there"),
        )
    ),
    Answer(("A silent connection is closed after 120 seconds; the copy waits 300 seconds.",)),
)

from __future__ import annotations

from pathlib import Path

from demo.answers import ToolUse
from demo.conversation import CONVERSATION
from demo.tools import run_tool

_PROJECT = Path(__file__).resolve().parents[3]


def test_everything_it_asks_for_works_but_the_last_which_is_to_fail(tmp_path: Path) -> None:
    (tmp_path / "project").symlink_to(_PROJECT)
    calls = [block for answer in CONVERSATION for block in answer.blocks if isinstance(block, ToolUse)]
    errors = [run_tool(call, tmp_path)[1] for call in calls]

    assert errors == [False] * (len(calls) - 1) + [True]
    copy = (tmp_path / "stand_in_copy.py").read_text(encoding="utf-8")
    original = (_PROJECT / "scripts/demo/stand_in.py").read_text(encoding="utf-8")
    assert len(set(copy.splitlines()) ^ set(original.splitlines())) == 2

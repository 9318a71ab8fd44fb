from __future__ import annotations

from pathlib import Path

from demo.answers import ToolUse
from demo.tools import run_tool


def bash(command: str, directory: Path) -> tuple[str, bool]:
    return run_tool(ToolUse("Bash", {"command": command}), directory)


def test_bash_gives_what_a_command_prints(tmp_path: Path) -> None:
    assert bash("printf 'a\\n\\r50%%\\rb\\n'; pwd", tmp_path) == (f"a\n\r50%\rb\n{tmp_path}", False)


def test_bash_says_when_there_is_nothing(tmp_path: Path) -> None:
    assert bash("true", tmp_path) == ("(Bash completed with no output)", False)


def test_a_failing_command_is_an_error_that_names_its_code(tmp_path: Path) -> None:
    assert bash("echo one; echo two >&2; echo three; exit 3", tmp_path) == ("Exit code 3\none\ntwo\nthree", True)


def test_read_numbers_every_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x\n\ty\n", encoding="utf-8")
    assert run_tool(ToolUse("Read", {"file_path": "a.txt"}), tmp_path) == ("1\tx\n2\t\ty\n3\t", False)


def test_reading_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    text, is_error = run_tool(ToolUse("Read", {"file_path": "a.txt"}), tmp_path)
    assert text.startswith("File does not exist.")
    assert is_error


def test_edit_replaces_once(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one one", encoding="utf-8")
    call = ToolUse("Edit", {"file_path": "a.txt", "old_string": "one", "new_string": "two"})
    text, is_error = run_tool(call, tmp_path)
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "two one"
    assert "has been updated successfully" in text
    assert not is_error


def test_an_edit_of_what_is_not_in_the_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one", encoding="utf-8")
    call = ToolUse("Edit", {"file_path": "a.txt", "old_string": "three", "new_string": "two"})
    assert run_tool(call, tmp_path)[1]
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "one"

"""What counts as asking for something that was set aside, and what is answered."""

from __future__ import annotations

import pytest

from compression_engine.formats.message import FileRange, ToolCall
from compression_engine.recall import Asked, asked, is_about_aside, range_of, says_unchanged

KEY = "0f3a5b7c9d1e2f40516273849a5b6c7d"
PATH = f".foundry-compress/{KEY}.txt"
NOT_THERE = "File does not exist. Note: your current working directory is /home/dev/project."
REMINDER = "<system-reminder>\nKeep it short.\n</system-reminder>"


def read(path: str, first: int | None = None, lines: int | None = None) -> ToolCall:
    return ToolCall("toolu_1", path, reads=FileRange(path, first, lines))


def bash(command: str) -> ToolCall:
    return ToolCall("toolu_1", command, command=command)


def missing(program: str, path: str = PATH) -> str:
    says = {
        "cat": f"cat: {path}: No such file or directory",
        "head": f"head: cannot open '{path}' for reading: No such file or directory",
        "tail": f"tail: cannot open '{path}' for reading: No such file or directory",
        "sed": f"sed: can't read {path}: No such file or directory",
    }
    return f"Exit code {2 if program == 'sed' else 1}\n{says[program]}"


@pytest.mark.parametrize(
    "path",
    [
        PATH,
        f"./{PATH}",
        f"/home/dev/project/{PATH}",
        f"/home/dev/project/sub/{PATH}",  # after cd sub
        f"C:\\Users\\dev\\project\\.foundry-compress\\{KEY}.txt",
        f"C:/Users/dev/project/{PATH}",
        f"/mnt/c/Users/dev/project/{PATH}",  # WSL
        f"\\\\wsl.localhost\\Ubuntu\\home\\dev\\.foundry-compress\\{KEY}.txt",
    ],
)
def test_a_read_of_the_path_asks_wherever_it_is_rooted(path: str) -> None:
    assert asked(read(path), NOT_THERE, is_error=True) == Asked(KEY)
    assert is_about_aside(read(path))


@pytest.mark.parametrize(
    "path",
    [
        f"{PATH}.bak",
        f"x{PATH}",
        f".foundry-compress/{KEY}",
        f".foundry-compress/{KEY[:-1]}.txt",
        f".foundry-compress/{KEY.upper()}.txt",
        f".foundry-compress/sub/{KEY}.txt",
        f"foundry-compress/{KEY}.txt",
        f"{PATH}\n",
        "src/main.py",
        "",
    ],
)
def test_a_read_of_another_path_does_not(path: str) -> None:
    assert asked(read(path), NOT_THERE, is_error=True) is None
    assert not is_about_aside(read(path))


def test_offset_and_limit_count_the_lines_of_the_original() -> None:
    text = "one\ntwo\nthree\nfour\n"
    for first, lines, expected in [
        (None, None, text),
        (0, None, text),
        (1, 2, "one\ntwo"),
        (2, 2, "two\nthree"),
        (4, 9, "four\n"),
        (3, 0, ""),
        (6, 1, "[the text has 5 lines]"),
    ]:
        request = asked(read(PATH, first, lines), NOT_THERE, is_error=True)
        assert request is not None
        assert request.of(text) == expected


@pytest.mark.parametrize(
    ("command", "program", "expected"),
    [
        (f"cat {PATH}", "cat", "1\n2\n3\n4\n5"),
        (f"  cat  '{PATH}' ", "cat", "1\n2\n3\n4\n5"),
        (f'cat "{PATH}"', "cat", "1\n2\n3\n4\n5"),
        (f"cat -- {PATH}", "cat", "1\n2\n3\n4\n5"),
        (f"head -2 {PATH}", "head", "1\n2"),
        (f"head -n 2 {PATH}", "head", "1\n2"),
        (f"head -n2 {PATH}", "head", "1\n2"),
        (f"head {PATH}", "head", "1\n2\n3\n4\n5"),
        (f"tail -n 2 {PATH}", "tail", "4\n5"),
        (f"tail {PATH}", "tail", "1\n2\n3\n4\n5"),
        (f"tail -n 0 {PATH}", "tail", ""),
        (f"sed -n 2,3p {PATH}", "sed", "2\n3"),
        (f"sed -n '2,3p' {PATH}", "sed", "2\n3"),
        (f"sed -n 4p {PATH}", "sed", "4"),
    ],
)
def test_one_command_on_the_path_asks(command: str, program: str, expected: str) -> None:
    request = asked(bash(command), missing(program), is_error=True)
    assert request is not None
    assert request.key == KEY
    assert request.of("1\n2\n3\n4\n5") == expected
    assert is_about_aside(bash(command))


def test_the_last_lines_are_those_in_front_of_the_clients_reminder() -> None:
    request = asked(bash(f"tail -n 2 {PATH}"), missing("tail"), is_error=True)
    assert request is not None
    assert request.of("1\n2\n3\n\n<system-reminder>\nmade-up\n</system-reminder>") == "2\n3"


@pytest.mark.parametrize(
    "command",
    [
        f"cat {PATH}; echo x",
        f"cat {PATH} && make",
        f"cat {PATH} | head",
        f"cat {PATH} > copy",
        f"cat {PATH} {PATH}",
        f"cat {PATH}\nmake",
        f"cat $(echo {PATH})",
        f"cat {PATH} &",
        f"less {PATH}",
        f"grep x {PATH}",
        f"sed -i 2d {PATH}",
        f"head -c 5 {PATH}",
        f"cat -n {PATH}",
        f"rm {PATH}",
    ],
)
def test_any_other_command_gets_the_clients_own_answer(command: str) -> None:
    assert asked(bash(command), missing("cat"), is_error=True) is None


@pytest.mark.parametrize(
    "answer",
    [
        "Permission to read this path has been denied by your permission settings.",
        "Claude requested permissions to read from it, but you haven't granted it yet.",
        "The user doesn't want to proceed with this tool use. The tool use was rejected.",
        "<tool_use_error>InputValidationError: Read failed</tool_use_error>",
        "EACCES: permission denied",
        "",
    ],
)
def test_a_refusal_is_never_overridden(answer: str) -> None:
    assert asked(read(PATH), answer, is_error=True) is None
    assert asked(bash(f"cat {PATH}"), f"Exit code 1\n{answer}", is_error=True) is None


def test_a_command_counts_only_if_it_says_exactly_that_the_file_is_not_there() -> None:
    command = bash(f"cat {PATH}")
    assert asked(command, missing("cat"), is_error=True) is not None
    for answer in (
        "",
        "some text",
        missing("cat") + "\nmore",
        "first\n" + missing("cat"),
        missing("cat", "other.txt"),
    ):
        assert asked(command, answer, is_error=True) is None


def test_a_planted_file_loses() -> None:
    assert asked(read(PATH), "1\tplanted", is_error=False) == Asked(KEY)


def test_reminders_around_the_answer_do_not_hide_it() -> None:
    assert asked(read(PATH), f"{REMINDER}\n{NOT_THERE}\n\n{REMINDER}", is_error=True) == Asked(KEY)
    assert asked(bash(f"cat {PATH}"), f"{missing('cat')}\n{REMINDER}", is_error=True) == Asked(KEY)


def test_a_reminder_that_speaks_of_a_missing_file_answers_nothing() -> None:
    answer = f"<system-reminder>{NOT_THERE}</system-reminder>denied by your permission settings"
    assert asked(read(PATH), answer, is_error=True) is None


def test_unchanged_is_what_the_client_says_alone() -> None:
    wasted = "Wasted call — file unchanged since your last Read. Refer to that earlier tool_result instead."
    assert says_unchanged(wasted)
    assert says_unchanged(f"{wasted}\n\n{REMINDER}")
    assert says_unchanged("File unchanged since last read.")
    assert not says_unchanged(f"1\t{wasted}")
    assert not says_unchanged(f"{wasted}{'x' * 300}")
    assert not says_unchanged("")


def test_which_part_of_a_file_a_call_shows() -> None:
    whole = FileRange("a.py", 1, None)
    assert range_of(read("a.py")) == range_of(read("a.py", 1)) == whole
    assert range_of(read("a.py", 3, 4)) == range_of(bash("sed -n 3,6p a.py")) == FileRange("a.py", 3, 4)
    assert range_of(bash("head -n 5 a.py")) == range_of(read("a.py", 1, 5))
    assert range_of(bash("head a.py")) == FileRange("a.py", 1, 10)
    for command in ("cat a.py", "tail -n 5 a.py", "head a.py | wc", "ls"):
        assert range_of(bash(command)) is None
    assert range_of(ToolCall("toolu_1", "mcp__x__y")) is None

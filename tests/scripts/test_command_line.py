from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import command_line


class _RefusedError(Exception):
    pass


class _StillRefusedError(_RefusedError):
    pass


def _raising(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (3, 3)])
def test_what_is_returned_is_the_exit_code(returned: int | None, code: int) -> None:
    assert command_line.run("name", lambda: returned, {}) == code


@pytest.mark.parametrize("kind", [_RefusedError, _StillRefusedError])
def test_an_error_that_is_known_becomes_a_line(kind: type[Exception], capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.run("name", lambda: _raising(kind("why")), {OSError: 4, _RefusedError: 5}) == 5
    assert capsys.readouterr() == ("", "name: why\n")


def test_one_that_is_not_known_is_not_hidden() -> None:
    with pytest.raises(_RefusedError):
        command_line.run("name", lambda: _raising(_RefusedError()), {OSError: 4})


def test_who_interrupts_it_sees_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.run("name", lambda: _raising(KeyboardInterrupt()), {}) == 130
    assert capsys.readouterr() == ("", "")


def test_neither_a_pipe_that_closes_nor_a_locale_without_a_character_is_a_traceback() -> None:
    source = 'import command_line; raise SystemExit(command_line.run("name", lambda: print("→" * 10**6), {}))'
    done = subprocess.run(
        ["sh", "-c", '"$@" | head -c 3', "sh", sys.executable, "-c", source],
        cwd=Path(command_line.__file__).parent,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("???", "")


def test_tables_in_what_is_no_terminal_are_not_folded(capsys: pytest.CaptureFixture[str]) -> None:
    command_line.console().print("x" * 120)
    assert capsys.readouterr().out == "x" * 120 + "\n"

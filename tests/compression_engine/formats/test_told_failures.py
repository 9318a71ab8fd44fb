from __future__ import annotations

import json

import pytest

from compression_engine.formats.told_failures import says_failure


@pytest.mark.parametrize(
    "text",
    [
        "Exit code 1\nno",
        "Exit code: 127",
        "Exit code -9",
        "\n\t Error: no",
        "ERROR in ./src",
        "fatal: not a git repository",
        "Traceback (most recent call last):\n",
        "<tool_use_error>no</tool_use_error>",
        json.dumps({"output": "no", "metadata": {"exit_code": 2, "duration_seconds": 0.1}}),
        json.dumps({"output": "no", "metadata": {"exit_code": -1, "duration_seconds": 0.1}}),
    ],
)
def test_what_begins_as_the_report_of_an_error_does(text: str) -> None:
    assert says_failure(json.dumps(text).encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Exit code 0",
        "Exit code: 0",
        "Errors are handled in errors.py",
        "def error(): ...",
        "no\nError: no",
        json.dumps({"output": "yes", "metadata": {"exit_code": 0, "duration_seconds": 0.1}}),
    ],
)
def test_other_texts(text: str) -> None:
    assert not says_failure(json.dumps(text).encode())

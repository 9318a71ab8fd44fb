from __future__ import annotations

import pytest

from compression_engine.content.failures import find, find_locations


@pytest.mark.parametrize(
    "line",
    [
        "error[E0308]: mismatched types",
        "FAILED tests/test_x.py::test_y",
        "--- FAIL: TestX (0.00s)",
        "panic: runtime error",
        "Traceback (most recent call last):",
        "fatal: not a git repository",
        "bash: foo: command not found",
        "Permission denied",
        "AssertionError",
        "  ✗ works",
        "connection timed out",
    ],
)
def test_failures_are_seen(line: str) -> None:
    assert find([line, ""]) == [True, False]


@pytest.mark.parametrize("line", ["", "ok   pkg/a  0.1s", "PASS", "Compiling serde v1.0"])
def test_success_is_none(line: str) -> None:
    assert find([line]) == [False]


def test_places_in_the_source_are_seen() -> None:
    assert find_locations(["src/a.py:12: in f", "   --> src/lib.rs:3:62", "a.go:7 b", "at 12:30:15", "v1.2:x", ""]) == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]

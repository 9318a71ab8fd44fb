from __future__ import annotations

import pytest

from compression_engine.content.failures import is_failure


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
    assert is_failure(line)


@pytest.mark.parametrize("line", ["", "ok   pkg/a  0.1s", "PASS", "Compiling serde v1.0"])
def test_success_is_none(line: str) -> None:
    assert not is_failure(line)

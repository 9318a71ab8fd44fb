from __future__ import annotations

from types import SimpleNamespace

import pytest


@pytest.mark.parametrize(
    ("chosen", "is_shared"),
    [("not e2e and not slow", True), ("not slow and not e2e", True), ("", False), ("not slow", False), ("e2e", False)],
)
def test_only_the_quick_tests_are_shared_among_the_cores(
    pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch, chosen: str, is_shared: bool
) -> None:
    monkeypatch.delenv("PYTEST_XDIST_AUTO_NUM_WORKERS", raising=False)
    config = SimpleNamespace(option=SimpleNamespace(markexpr=chosen, numprocesses="auto"))
    workers = pytestconfig.hook.pytest_xdist_auto_num_workers(config=config)
    assert (workers > 0) == is_shared

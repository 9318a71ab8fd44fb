"""What the tests of conversations share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conversations.branches import Clock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store may put its file; the folder is not there yet."""
    return tmp_path / "state" / "conversations.sqlite3"


@pytest.fixture
def clock() -> Clock:
    return Clock()

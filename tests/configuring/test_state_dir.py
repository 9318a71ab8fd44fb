from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from configuring.state_dir import state_dir


def test_what_is_given_becomes_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert state_dir("~/kept") == Path("/home/ann/kept")
    assert state_dir("kept") == Path.cwd() / "kept"


def test_else_it_is_the_users_own() -> None:
    assert state_dir("") == platformdirs.user_state_path("foundry-compress")

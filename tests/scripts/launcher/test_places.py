from __future__ import annotations

from pathlib import Path

import pytest

from configuring import state_dir
from launcher import places
from launcher.proxy_process import PROJECT


def test_the_variables_say_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/dev")
    assert places.state_dir({"FOUNDRY_COMPRESS_STATE_DIR": "~/s"}) == Path("/home/dev/s")
    assert places.confdir({"FOUNDRY_COMPRESS_CONFDIR": "/c"}) == Path("/c")


def test_named_and_pinned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"FOUNDRY_COMPRESS_CONFDIR": "certs", "FOUNDRY_COMPRESS_MODE": "off"}
    assert places.named(given) == {"FOUNDRY_COMPRESS_CONFDIR": "certs"}
    pinned = places.pinned(given)
    assert pinned["FOUNDRY_COMPRESS_CONFDIR"] == str(tmp_path / "certs")
    assert places.named(pinned) == pinned == places.pinned(pinned)


def test_without_variables_they_are_where_the_addon_looks() -> None:
    assert places.state_dir({}) == state_dir.state_dir("")
    assert places.confdir({}) == PROJECT / "certs"

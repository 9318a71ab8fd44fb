from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from launcher import client
from launcher.errors import LauncherError


def program(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


def test_on_path(tmp_path: Path) -> None:
    claude = program(tmp_path / "bin" / "claude")
    assert client.find({"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)}) == str(claude)


def test_named(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "claude")
    mine = program(tmp_path / "mine")
    environment = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path), "CLAUDE_FOUNDRY_CLIENT": str(mine)}
    assert client.find(environment) == str(mine)


@pytest.mark.parametrize("place", [".local/bin/claude", ".claude/local/claude"])
def test_where_its_installers_put_it(tmp_path: Path, place: str) -> None:
    claude = program(tmp_path / place)
    assert client.find({"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)}) == str(claude)


def test_nowhere(tmp_path: Path) -> None:
    with pytest.raises(LauncherError, match="npm install -g"):
        client.find({"PATH": str(tmp_path), "HOME": str(tmp_path)})
    with pytest.raises(LauncherError, match="CLAUDE_FOUNDRY_CLIENT names /none"):
        client.find({"PATH": str(tmp_path), "HOME": str(tmp_path), "CLAUDE_FOUNDRY_CLIENT": "/none"})


def test_not_startable(tmp_path: Path) -> None:
    with pytest.raises(LauncherError, match="cannot be started"):
        client.run([str(tmp_path)], {})


@pytest.mark.parametrize(("code", "expected"), [("0", 0), ("7", 7), ("255", 255)])
def test_exit_code(code: str, expected: int) -> None:
    assert client.run([sys.executable, "-c", f"import sys; sys.exit({code})"], {}) == expected


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
def test_ended_by_a_signal(number: signal.Signals) -> None:
    code = f"import os; os.kill(os.getpid(), {int(number)})"
    assert client.run([sys.executable, "-c", code], {}) == 128 + number


def test_a_signal_that_comes_while_it_starts_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.Popen

    def slow(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", slow)
    assert client.run([sys.executable, "-c", "import time; time.sleep(60)"], {}) == 128 + signal.SIGTERM


def test_handlers_are_as_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    client.run([sys.executable, "-c", ""], {})
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before

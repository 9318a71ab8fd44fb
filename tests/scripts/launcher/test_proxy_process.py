from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.proxy_process import ProxyProcess, session_directory


@pytest.fixture
def ended(tmp_path: Path) -> Callable[[str], ProxyProcess]:
    """A proxy that has ended, with a log."""

    def make(log: str) -> ProxyProcess:
        process = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE)
        process.wait()
        (tmp_path / "log").write_text(log)
        return ProxyProcess(process, tmp_path)

    return make


def test_directory_is_private_and_goes_where_the_session_fails() -> None:
    session = session_directory()
    directory = session.__enter__()
    (directory / "file").write_text("x")
    assert directory.stat().st_mode & 0o077 == 0
    assert not session.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)  # and the interruption goes on
    assert not directory.exists()


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", "without a word"),
        ("first\nsecond\n\n", "second"),
        ("[17:10:10.435] the reason [1]\n", "the reason [1]"),
        ("the reason\nError logged during startup, exiting...\n", "the reason"),
        ("the reason\nErrors logged during startup, exiting...\n", "the reason"),
    ],
)
def test_last_words(ended: Callable[[str], ProxyProcess], log: str, words: str) -> None:
    proxy = ended(log)
    (proxy.directory / "settings.json").write_text('{"env": {"ANTHROPIC_FOUNDRY_API_KEY": "made-up"}}')
    said = proxy.release()
    assert said == f"the proxy ended before Claude Code did ({words}); its log: {proxy.directory / 'log'}"
    assert [file.name for file in proxy.directory.iterdir()] == ["log"]


def test_who_does_not_answer_says_nothing(ended: Callable[[str], ProxyProcess]) -> None:
    proxy = ended("")
    proxy.port = 1
    assert proxy.ask("/ready") is None
    assert proxy.notices() == []
    proxy.release()


def test_notices_are_read_from_the_session(ended: Callable[[str], ProxyProcess], tmp_path: Path) -> None:
    (tmp_path / "notices").write_text("one\ntwo\n")
    proxy = ended("")
    assert proxy.notices() == ["one", "two"]
    proxy.release()

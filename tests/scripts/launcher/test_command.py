from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence

import pytest

from launcher import session
from launcher.command import main
from launcher.errors import LauncherError


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_everything_that_is_not_ours_goes_to_claude_code(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Sequence[str]] = []

    def run(arguments: Sequence[str]) -> int:
        seen.append(arguments)
        return 7

    monkeypatch.setattr(session, "run_claude_code", run)
    for arguments in ([], ["--help"], ["-p", "--demo"], ["--demo", "x"], ["--foundry-help", "x"]):
        assert main(arguments) == 7
        assert seen.pop() == arguments


def test_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "run_demo", lambda: 5)
    assert main(["--demo"]) == 5


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--foundry-help"]) == 0
    said = capsys.readouterr().out
    for name in ("--demo", "CLAUDE_CODE_USE_FOUNDRY", "ANTHROPIC_FOUNDRY_RESOURCE", "FOUNDRY_COMPRESS_MODE"):
        assert name in said


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (LauncherError("what to do."), "claude-foundry: what to do.\n"),
        (LauncherError("two\n  lines"), "claude-foundry: two lines\n"),
        (
            OSError(28, "No space left on device"),
            "claude-foundry: OSError: [Errno 28] No space left on device (CLAUDE_FOUNDRY_DEBUG=1 shows where)\n",
        ),
    ],
)
def test_errors_are_one_line(
    error: Exception, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Sequence[str]) -> int:
        raise error

    monkeypatch.delenv("CLAUDE_FOUNDRY_DEBUG", raising=False)
    monkeypatch.setattr(session, "run_claude_code", fail)
    assert main([]) == 2
    assert capsys.readouterr() == ("", line)
    monkeypatch.setenv("CLAUDE_FOUNDRY_DEBUG", "1")
    with pytest.raises(type(error)):
        main([])


def test_interrupted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(_: Sequence[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "run_claude_code", interrupt)
    assert main([]) == 130
    assert capsys.readouterr() == ("", "")


def test_ended_while_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(_: Sequence[str]) -> int:
        signal.raise_signal(signal.SIGTERM)
        return 0

    monkeypatch.setattr(session, "run_claude_code", end)
    with pytest.raises(SystemExit) as raised:
        main([])
    assert raised.value.code == 128 + signal.SIGTERM

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from estimate_savings.command import main
from estimate_savings.estimate import Estimate
from tests.scripts.estimate_savings.invented import NOISE, InventedTranscript, usage, with_a_pause

PACKAGE = Path(__file__).resolve().parents[3] / "scripts" / "estimate_savings"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    return tmp_path


def session(folder: Path) -> Path:
    invented = InventedTranscript()
    invented.say("Go.")
    invented.answer("1", usage(write=1000), invented.call("a"))
    invented.result("a", NOISE)
    invented.answer("2", usage(read=1000, write=500), "Done.")
    return invented.write(folder)


def test_the_clients_own_folder_is_the_default(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session(home / ".claude/projects/-p")
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert "2 requests in 1 session" in out
    assert err == ""


def test_json(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = session(home)
    assert main(["--json", "--examples", "1", str(file)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["transcripts"]["requests"] == 2
    assert document["best"][0]["before"] == NOISE


@pytest.mark.parametrize(
    ("arguments", "results"),
    [([], 2), (["--mode", "balanced"], 2), (["--mode", "lossless"], None), (["--cache-ttl", "600"], 0)],
)
def test_the_mode_and_the_life_of_the_cache(
    arguments: list[str], results: int | None, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = with_a_pause(6).write(home)
    assert main(["--json", *arguments, str(file)]) == 0
    found = json.loads(capsys.readouterr().out)["set_aside"]
    assert (found and found["results"]) == results


def test_nothing_to_estimate(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert capsys.readouterr().err == f"estimate: there is no {home}/.claude/projects\n"
    (home / "empty.jsonl").touch()
    assert main([str(home)]) == 2
    assert capsys.readouterr().err == f"estimate: no transcript with billed requests in {home}\n"


@pytest.mark.parametrize(
    "arguments",
    [["--examples", "-1"], ["--examples", "x"], ["--no-such-option"], ["--mode", "off"], ["--cache-ttl", "5m"]],
)
def test_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


@pytest.mark.slow
def test_runs_as_a_directory_isolated_and_into_a_pipe_that_closes(home: Path) -> None:
    session(home)
    argv = [sys.executable, "-IB", str(PACKAGE), str(home)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "input bill" in done.stdout
    piped = subprocess.run(
        ["sh", "-c", '"$@" | true', "sh", *argv], capture_output=True, text=True, timeout=60, check=False
    )
    assert piped.stderr == ""


def test_an_interrupt_is_no_traceback(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Estimate, "add_file", interrupted)
    assert main([str(session(home))]) == 130

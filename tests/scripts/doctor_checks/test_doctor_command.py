from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from connecting import certificate_authority
from doctor_checks.command import main

PROJECT = Path(__file__).resolve().parents[3]
SECONDS = 180


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of this machine's own."""
    for name in list(os.environ):
        if name.upper().startswith(("ANTHROPIC", "CLAUDE", "FOUNDRY_", "HTTP", "ALL_PROXY", "NO_PROXY", "NODE_EXTRA")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def arguments(machine: Path) -> list[str]:
    return ["--offline", "--confdir", str(machine / "certs"), "--state-dir", str(machine / "state")]


def test_a_check_that_failed_is_told_by_the_exit_code(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(machine)) == 1
    out = capsys.readouterr().out.splitlines()
    assert any(line.startswith("failed   Claude Code ") for line in out)
    assert "failed" in out[-1]
    assert "\x1b" not in "".join(out)


def test_nothing_failed(machine: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_CODE_USE_FOUNDRY", "1")
    monkeypatch.setenv("ANTHROPIC_FOUNDRY_RESOURCE", "made-up")
    monkeypatch.setenv("ANTHROPIC_FOUNDRY_API_KEY", "made-up-key")
    certificate_authority.ensure(machine / "certs")
    assert main([*arguments(machine), "--json"]) == 0
    out = capsys.readouterr().out
    assert json.loads(out)["verdict"] == "ok"
    assert "made-up-key" not in out


@pytest.mark.parametrize("wrong", [["--what"], ["more"], ["--environment", "fine"]])
def test_bad_arguments(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(wrong)
    assert ended.value.code == 2
    assert "usage: doctor" in capsys.readouterr().err


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The project as it is after it was cloned: no environment."""
    root = tmp_path / "clone with a space"
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("scripts", "addons"):
        shutil.copytree(PROJECT / name, root / name, ignore=ignore)
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(PROJECT / name, root)
    return root


def start(clone: Path, *given: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    home = clone.with_name("home")
    home.mkdir(exist_ok=True)
    environment = {
        "HOME": str(home),
        "PYENV_ROOT": str(home),
        "PATH": path or f"{Path(sys.executable).parent}:/usr/bin:/bin",
    }
    return subprocess.run(
        [clone / "scripts" / "doctor", "--offline", *given],
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.mark.slow
def test_without_an_environment_another_python_says_so_and_looks_on(clone: Path) -> None:
    done = start(clone)
    assert (done.returncode, done.stderr) == (1, "")
    first = done.stdout.splitlines()[0]
    assert first.startswith("failed   Python")
    assert first.endswith("→ start scripts/make_ca, which makes it")
    assert "does not use Foundry" in done.stdout
    assert not (clone / ".venv").exists()
    assert not (clone / ".tools").exists()


@pytest.mark.slow
def test_an_environment_made_from_other_versions(clone: Path) -> None:
    (clone / ".venv").mkdir()
    for entry in Path(sys.prefix).iterdir():
        if not entry.name.startswith("foundry-"):
            (clone / ".venv" / entry.name).symlink_to(entry)
    made_from = "".join((clone / name).read_text() for name in ("pyproject.toml", "constraints.txt"))
    stamp = subprocess.run(["cksum"], input=made_from, capture_output=True, text=True, timeout=SECONDS, check=True)
    (clone / ".venv" / "foundry-runtime").write_text(stamp.stdout)
    (current, *_) = json.loads(start(clone, "--json").stdout)["checks"]
    assert (current["name"], current["verdict"]) == ("Python", "ok")
    (clone / "constraints.txt").write_text("# changed\n")
    (outdated, *_) = json.loads(start(clone, "--json").stdout)["checks"]
    assert outdated["verdict"] == "warning"
    assert "brings it up to date" in outdated["remedy"]


@pytest.mark.slow
def test_without_any_python_one_line_says_what_to_do(clone: Path) -> None:
    tools = clone.with_name("bin")
    tools.mkdir()
    for tool in ("sh", "cat", "cksum", "dirname", "awk", "sort", "cut"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    script = clone / "scripts" / "environment.sh"
    text = script.read_text()
    for place in ("/usr/local/bin/", "/opt/homebrew/bin/", "/usr/bin/"):
        text = text.replace(place, "/nowhere/")
    script.write_text(text)
    done = start(clone, path=str(tools))
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.count("\n") == 1
    assert done.stdout.startswith("failed   Python  ")
    assert "→ start scripts/make_ca" in done.stdout
    document = json.loads(start(clone, "--json", path=str(tools)).stdout)
    assert document["verdict"] == "failed"
    assert document["checks"][0]["remedy"].startswith("start scripts/make_ca")


def test_the_script_is_posix_sh() -> None:
    file = PROJECT / "scripts" / "doctor"
    subprocess.run([shutil.which("dash") or "sh", "-n", file], check=True, timeout=SECONDS)
    assert os.access(file, os.X_OK)

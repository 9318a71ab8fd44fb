"""scripts/environment.sh, with a small program in the place of uv."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[2]
SECONDS = 120
SCRIPT = """#!/bin/sh
set -eu
project=$(cd -- "$(dirname -- "$0")/.." && pwd -P)
. "$project/scripts/environment.sh"
prepare_environment "$@"
exec "$python" -c 'print("ran")'
"""
# Says what it was asked, waits if told to, and makes what uv would make.
UV = f"""#!/bin/sh
[ "$1" = --version ] && exit 0
echo "$@" >>"$UV_LOG"
sleep "${{UV_SLEEP:-0}}"
case "$1 $*" in
    *"${{UV_FAILS:-never}}"*)
        printf '%s\\n' "first line" "error: no route to //user:secret@index" "hint: try" >&2; exit 1 ;;
    venv*) for last; do case $last in */.venv) venv=$last ;; esac; done
           mkdir -p "$venv/bin" && ln -s "{sys.executable}" "$venv/bin/python" ;;
esac
"""


@dataclass
class Clone:
    """A fresh clone of the project, as far as setting up is concerned; its uv is in `home`/.local/bin."""

    root: Path

    def __post_init__(self) -> None:
        (self.root / "scripts").mkdir(parents=True)
        shutil.copy(PROJECT / "scripts" / "environment.sh", self.root / "scripts")
        for name in ("pyproject.toml", "constraints.txt"):
            (self.root / name).write_text(f"# {name}\n")
        self.program(self.root / "scripts" / "go", SCRIPT)
        self.home = self.root.with_name("home")
        self.uv = self.program(self.home / ".local" / "bin" / "uv", UV)
        self.bin = self.root.with_name("bin")
        self.bin.mkdir()
        self.log = self.root.with_name("uv.log")

    def program(self, file: Path, text: str) -> Path:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)
        return file

    def forget_this_machine(self) -> None:
        """Look for uv and Python on PATH only, not at the usual places."""
        script = self.root / "scripts" / "environment.sh"
        text = script.read_text()
        for place in ("/usr/local/bin/", "/opt/homebrew/bin/", "/usr/bin/"):
            assert place in text
            text = text.replace(place, "/nowhere/")
        script.write_text(text)

    def environment(self, **variables: str) -> dict[str, str]:
        path = f"{self.bin}:/usr/bin:/bin"
        own = {"PATH": path, "HOME": str(self.home), "UV_LOG": str(self.log), "PYENV_ROOT": str(self.home)}
        return own | variables

    def start(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.root / "scripts" / "go", *arguments],
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def asked(self) -> list[str]:
        """What uv was asked since the last time."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.write_text("")
        return lines


def comes_true(condition: Callable[[], bool]) -> bool:
    """Whether it does in time."""
    end = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path / "clone with a space")


def test_the_first_start_sets_up_and_says_so_in_one_line(clone: Clone) -> None:
    done = clone.start()
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert done.stderr == f"go: setting up the Python environment in {clone.root}/.venv, once\n"
    venv, install = clone.asked()
    assert venv.startswith("venv ")
    assert "--python 3.12 --no-python-downloads" in venv
    assert install.endswith("-r pyproject.toml -c constraints.txt")


def test_further_starts_neither_speak_nor_run_uv(clone: Clone) -> None:
    clone.start()
    clone.asked()
    clone.uv.unlink()
    done = clone.start(PATH="/usr/bin:/bin")
    assert (done.returncode, done.stdout, done.stderr) == (0, "ran\n", "")
    assert clone.asked() == []


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_other_pins_are_installed(clone: Clone, name: str) -> None:
    clone.start()
    clone.asked()
    (clone.root / name).write_text("changed\n")
    assert clone.start().returncode == 0
    (install,) = clone.asked()
    assert install.startswith("pip install")


def test_the_dev_group_is_added_and_serves_every_start(clone: Clone) -> None:
    clone.start()
    clone.asked()
    assert clone.start("dev").returncode == 0
    (install,) = clone.asked()
    assert "--group dev" in install
    shutil.rmtree(clone.root / ".venv")
    clone.start("dev")
    clone.asked()
    clone.start()
    clone.start("dev")
    assert clone.asked() == []


def test_the_report_group_is_added_on_first_use_and_serves_plain_starts(clone: Clone) -> None:
    clone.start()
    clone.asked()
    assert clone.start("report").returncode == 0
    (install,) = clone.asked()
    assert "--group report" in install
    (clone.root / ".venv" / "foundry-runtime").unlink()
    clone.start()
    clone.start("report")
    assert clone.asked() == []
    clone.start("dev")
    assert "--group dev" in clone.asked()[0]
    (clone.root / ".venv" / "foundry-report").unlink()
    clone.start("report")
    assert clone.asked() == []


def test_an_environment_whose_python_is_gone_is_made_again(clone: Clone) -> None:
    clone.start()
    python = clone.root / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(clone.root / "removed")
    clone.asked()
    assert clone.start().stdout == "ran\n"
    assert [line.split()[0] for line in clone.asked()] == ["venv", "pip"]


def test_a_uv_that_is_found_but_does_not_run_is_passed_over(clone: Clone) -> None:
    clone.program(clone.bin / "uv", "#!/bin/sh\necho 'pyenv: uv: command not found' >&2\nexit 127\n")
    assert clone.start().returncode == 0
    assert len(clone.asked()) == 2


def test_where_there_is_no_312_a_newer_one_will_do_before_anything_is_downloaded(clone: Clone) -> None:
    assert clone.start(UV_FAILS="--python 3.12").returncode == 0
    first, second, _ = clone.asked()
    assert first.endswith("--python 3.12 --no-python-downloads")
    assert second.endswith("--python >=3.12 --no-python-downloads")


@pytest.mark.parametrize(
    ("fails", "says"),
    [
        ("venv", "go: needs Python 3.12 or newer, and uv could not"),
        ("pip install", "go: could not install the packages ("),
    ],
)
def test_what_fails_is_one_line_without_a_password(clone: Clone, fails: str, says: str) -> None:
    done = clone.start(UV_FAILS=fails)
    assert (done.returncode, done.stdout) == (2, "")
    notice, line = done.stderr.splitlines()
    assert notice.startswith("go: setting up")
    assert line.startswith(says)
    assert "error: no route to //index" in line
    assert "secret" not in line
    assert clone.start().stdout == "ran\n"  # and the next start tries again


def test_what_only_the_system_and_pip_know_is_tried_in_turn(clone: Clone) -> None:
    clone.program(clone.bin / "python3", "#!/bin/sh\necho https://pip.example/simple\n")
    text = clone.uv.read_text().replace("exit 1 ;;", 'echo "$UV_SYSTEM_CERTS $UV_DEFAULT_INDEX" >>"$UV_LOG"; exit 1 ;;')
    clone.program(clone.uv, text)
    assert clone.start(UV_FAILS="pip install").returncode == 2
    assert [line for line in clone.asked() if " install " not in line and "venv" not in line] == [
        " ",
        "1 ",
        "1 https://pip.example/simple",
    ]


def test_neither_uv_nor_python(clone: Clone) -> None:
    clone.uv.unlink()
    for tool in ("sh", "cat", "cksum", "mkdir", "rm", "mv", "dirname", "awk", "sed", "cut", "sort"):
        (clone.bin / tool).symlink_to(str(shutil.which(tool)))
    clone.forget_this_machine()
    done = clone.start(PATH=str(clone.bin))
    assert done.returncode == 2
    assert "found neither uv nor a Python" in done.stderr.splitlines()[-1]


def test_uv_is_bootstrapped_with_a_python_that_has_it_not(clone: Clone) -> None:
    clone.forget_this_machine()
    clone.uv.rename(clone.root.with_name("uv"))
    copies = f'mkdir -p "$3/bin" && cp "{clone.root.with_name("uv")}" "$3/bin/uv"'
    clone.program(
        clone.bin / "python3",
        f'#!/bin/sh\n[ "$1 $2" = "-m venv" ] || exit 0\n{copies}\nln -s /bin/true "$3/bin/python"\n',
    )
    assert clone.start().stdout == "ran\n"
    assert (clone.root / ".tools" / "uv" / "bin" / "uv").exists()


def test_first_starts_at_the_same_time_set_up_once(clone: Clone) -> None:
    argv = [clone.root / "scripts" / "go"]
    environment = clone.environment(UV_SLEEP="0.3")
    starts = [
        subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [start.communicate(timeout=SECONDS)[0] for start in starts] == ["ran\n"] * 4
    assert [line.split()[0] for line in clone.asked()] == ["venv", "pip"]
    assert not (clone.root / ".tools" / "setup.lock").exists()


def test_the_lock_of_a_start_that_died_is_taken_over(clone: Clone) -> None:
    lock = clone.root / ".tools" / "setup.lock"
    lock.mkdir(parents=True)
    (lock / "pid").write_text("99999999\n")  # no process has such a high number, whichever start meanwhile
    assert clone.start().stdout == "ran\n"


def test_a_start_that_is_interrupted_leaves_no_lock(clone: Clone) -> None:
    argv = [clone.root / "scripts" / "go"]
    with subprocess.Popen(argv, env=clone.environment(UV_SLEEP="100"), start_new_session=True) as start:
        assert comes_true(clone.log.exists)
        os.killpg(start.pid, 15)
        assert start.wait(SECONDS) != 0
    assert comes_true(lambda: not (clone.root / ".tools" / "setup.lock").exists())
    assert clone.start().stdout == "ran\n"


@pytest.mark.parametrize(
    "name",
    ["environment.sh", "claude-foundry", "estimate", "make_ca", "restore", "sbom", "sweep", "test", "../.ci/run"],
)
def test_scripts_are_posix_sh(name: str) -> None:
    shell = shutil.which("dash") or "sh"
    file = PROJECT / "scripts" / name
    subprocess.run([shell, "-n", file], check=True, timeout=SECONDS)
    assert name == "environment.sh" or os.access(file, os.X_OK)
    assert name == "environment.sh" or file.read_text().startswith("#!/bin/sh\n")

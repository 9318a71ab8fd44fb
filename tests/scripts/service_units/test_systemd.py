from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.errors import LauncherError
from service_units import systemd
from service_units.description import Service
from service_units.manager import Asked, State, ask
from service_units.systemd import UNIT, Systemd, read_unit, unit

ANALYZE = shutil.which("systemd-analyze")
NAMES = st.from_regex(r"FOUNDRY_[A-Z]{1,8}", fullmatch=True)
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs", "Cc"]), max_size=30) | st.text(
    "\\\"'%$ \n\t\rx", max_size=12
)
SERVICES = st.builds(Service, st.integers(1, 65535), st.dictionaries(NAMES, TEXT, max_size=4))
NASTY = Service(8787, {"FOUNDRY_A": 'it\'s "$HOME" %h 100%% \\n\\ ;#', "FOUNDRY_B": "two\nlines\tand ü"})


@given(SERVICES, st.booleans())
def test_what_is_written_is_read_back(service: Service, separated: bool) -> None:
    assert read_unit(unit(service, separated=separated)) == service


def test_other_units_are_not_ours() -> None:
    assert read_unit("[Service]\nExecStart=/bin/true\n") is None
    assert read_unit("") is None


def test_what_it_says() -> None:
    text = unit(Service(9000, {"FOUNDRY_COMPRESS_STATE_DIR": "/var/my state", "FOUNDRY_COMPRESS_CONFDIR": "/c"}))
    lines = text.splitlines()
    for wanted in (
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "PrivateTmp=yes",
        "PrivateUsers=yes",
        "Restart=on-failure",
        'ReadWritePaths="-/var/my state" "-/c"',
        "WantedBy=default.target",
        'Environment="FOUNDRY_COMPRESS_CONFDIR=/c"',
    ):
        assert wanted in lines
    command = next(line for line in lines if line.startswith("ExecStart="))
    assert shlex.split(command.removeprefix("ExecStart=:"))[-3:] == ["run", "--port", "9000"]
    assert "ProtectSystem" not in unit(NASTY, separated=False)
    assert "NoNewPrivileges=yes" in unit(NASTY, separated=False)


# What systemd itself makes of it


def analyzed(directory: Path, text: str) -> str:
    """What systemd's own checker says of the unit: all that it parsed, and what it finds wrong."""
    assert ANALYZE
    file = directory / UNIT
    file.write_text(text, encoding="utf-8", newline="")
    (directory / "run").mkdir(exist_ok=True)
    environment = {
        **{name: value for name, value in os.environ.items() if name != "SYSTEMD_LOG_TARGET"},
        "XDG_RUNTIME_DIR": str(directory / "run"),
        "XDG_CONFIG_HOME": str(directory / "config"),
        "SYSTEMD_LOG_LEVEL": "debug",
    }
    done = subprocess.run(
        [ANALYZE, "verify", "--user", "--man=no", str(file)],
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not here")


@needs_systemd
@pytest.mark.slow
@pytest.mark.parametrize("separated", [True, False])
def test_systemd_finds_nothing_wrong(tmp_path: Path, separated: bool) -> None:
    service = Service(8787, {"FOUNDRY_COMPRESS_MODE": "lossless"})
    said = analyzed(tmp_path, unit(service, separated=separated))
    # It complains in a line that names file and line, and goes on.
    assert re.findall(rf"^.*{re.escape(UNIT)}:\d+:.*$", said, re.MULTILINE) == []
    assert f"Unit {UNIT}" in said


@needs_systemd
def test_a_wrong_unit_would_be_found(tmp_path: Path) -> None:
    said = analyzed(tmp_path, unit(NASTY).replace("NoNewPrivileges=yes", "NoNewPrivilegs=yes"))
    assert f"{UNIT}:" in said


@needs_systemd
@pytest.mark.slow
@given(st.dictionaries(NAMES, TEXT.filter(lambda value: not re.search(r"[\n\r\t]", value)), min_size=1, max_size=4))
@settings(max_examples=15)
def test_systemd_reads_what_was_written(tmp_path_factory: pytest.TempPathFactory, variables: dict[str, str]) -> None:
    said = analyzed(tmp_path_factory.mktemp("unit"), unit(Service(8787, variables)))
    parsed = re.findall(r"^\t*Environment: (FOUNDRY_[^\n]*)$", said, re.MULTILINE)
    assert sorted(parsed) == sorted(f"{name}={value}" for name, value in variables.items())


@needs_systemd
def test_systemd_reads_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "a b$x%h" / "python"
    python.parent.mkdir()
    shutil.copy("/bin/true", python)
    monkeypatch.setattr("sys.executable", str(python))
    said = analyzed(tmp_path, unit(NASTY))
    command = re.search(r"^\t*Command Line: (.*)$", said, re.MULTILINE)
    assert command
    assert shlex.split(re.sub(r"\\\$", "$", command[1])) == NASTY.arguments


@pytest.mark.parametrize("name", ['a"b', "a'b", "a\\b", "a\nb"])
def test_a_path_from_which_systemd_starts_nothing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("sys.executable", f"/home/{name}/python")
    with pytest.raises(LauncherError, match="move the project"):
        unit(NASTY)


# What systemd is asked


class Answers:
    """Stands for `systemctl`: notes what it is asked, and answers by the first word that fits."""

    def __init__(self, **answers: Asked) -> None:
        self.asked: list[str] = []
        self.answers = answers

    def __call__(self, argv: list[str]) -> Asked:
        assert argv[:2] == ["systemctl", "--user"]
        self.asked.append(" ".join(argv[2:]))
        return self.answers.get(argv[2].replace("-", "_"), Asked(0, "", ""))


@pytest.fixture
def manager(tmp_path: Path) -> Systemd:
    return Systemd({"HOME": str(tmp_path)})


def test_where_the_unit_is(tmp_path: Path, manager: Systemd) -> None:
    assert manager.file == tmp_path / ".config/systemd/user" / UNIT
    assert Systemd({"XDG_CONFIG_HOME": "/x"}).file == Path("/x/systemd/user") / UNIT


def test_start(manager: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(show=Asked(0, "0\n", ""))
    monkeypatch.setattr(systemd, "ask", answers)
    assert not manager.holds(NASTY)
    manager.write(NASTY)
    assert manager.holds(NASTY)
    assert manager.start() == []
    assert answers.asked[:3] == ["daemon-reload", f"enable {UNIT}", f"restart {UNIT}"]
    assert manager.read() == NASTY


def test_another_folder_makes_another_unit(manager: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    manager.write(NASTY)
    monkeypatch.setattr("sys.executable", "/elsewhere/.venv/bin/python")
    assert not manager.holds(NASTY)
    assert manager.read() == NASTY


@pytest.mark.parametrize("status", ["217", "226"])
def test_where_no_view_of_its_own_is_to_be_had(manager: Systemd, monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    answers = Answers(restart=Asked(1, "", "failed"), show=Asked(0, f"{status}\n", ""))

    def second_time(argv: list[str]) -> Asked:
        if "Protect" not in manager.file.read_text():
            answers.answers = {}
        return answers(argv)

    monkeypatch.setattr(systemd, "ask", second_time)
    manager.write(NASTY)
    assert manager.start() == [
        "this system lets no user's service have a view of its own of the files, so it has none."
    ]
    assert answers.asked[-2:] == ["daemon-reload", f"restart {UNIT}"]
    assert manager.read() == NASTY
    assert manager.holds(NASTY)
    manager.write(NASTY)
    assert "Protect" not in manager.file.read_text(), "what was found out once need not be found out again"


def test_it_does_not_start(manager: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "ask", Answers(restart=Asked(1, "", "Job failed.\n")))
    manager.write(NASTY)
    with pytest.raises(LauncherError, match=r"systemctl --user restart .*: Job failed."):
        manager.start()


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("ActiveState=active\nSubState=running\nResult=success\n", "active (running)"),
        ("ActiveState=failed\nSubState=failed\nResult=exit-code\n", "failed (failed, exit-code)"),
        ("", "unknown ()"),
    ],
)
def test_state(manager: Systemd, monkeypatch: pytest.MonkeyPatch, shown: str, said: str) -> None:
    monkeypatch.setattr(systemd, "ask", Answers(show=Asked(0, shown, "")))
    assert manager.state() == State(said, is_over="failed" in said)


def test_no_systemd(manager: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "ask", Answers(show=Asked(1, "", "Failed to connect to bus: No medium found")))
    with pytest.raises(LauncherError, match=r"\(Failed to connect to bus: No medium found\): .*scripts/service run"):
        manager.check()
    assert manager.state() == State("Failed to connect to bus: No medium found")
    monkeypatch.setattr(systemd, "ask", ask)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(LauncherError, match=r"\(systemctl is not here\): .*wsl.conf"):
        manager.check()
    assert manager.state() == State("systemctl is not here")


def test_remove(tmp_path: Path, manager: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers()
    monkeypatch.setattr(systemd, "ask", answers)
    manager.write(NASTY)
    link = manager.file.parent / "default.target.wants" / UNIT
    link.parent.mkdir()
    link.symlink_to(manager.file)
    assert manager.remove() == [manager.file]
    assert answers.asked == [f"disable --now {UNIT}", "daemon-reload", f"reset-failed {UNIT}"]
    assert list((tmp_path / ".config").iterdir()) == []
    assert manager.remove() == []


def test_remove_leaves_other_units(manager: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "ask", Answers())
    manager.write(NASTY)
    other = manager.file.with_name("other.service")
    other.write_text("x")
    manager.remove()
    assert other.exists()


def test_remove_where_systemd_cannot_be_asked(manager: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    manager.write(NASTY)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert manager.remove() == [manager.file]

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from doctor_checks.proxy import Kind, Look
from launcher.errors import LauncherError
from service_units import command, running, trial
from service_units.command import main
from service_units.description import Service
from service_units.manager import State

ANSWERS = Look(Kind.ADDON, None, "9.9", "balanced")
SILENT = Look(Kind.SILENT, None, "nothing listens there")


@dataclass
class Manager:
    """In the place of systemd."""

    file: Path
    installed: Service | None = None
    started: int = 0
    cannot: str = ""
    remarks: list[str] = field(default_factory=list)
    name: str = "systemd"
    log_hint: str = "show the log"
    log: list[str] = field(default_factory=list)

    def check(self) -> None:
        if self.cannot:
            raise LauncherError(self.cannot)

    def read(self) -> Service | None:
        return self.installed

    def holds(self, service: Service) -> bool:
        return self.installed == service

    def write(self, service: Service) -> None:
        self.installed = service

    def start(self) -> list[str]:
        self.started += 1
        return self.remarks

    def state(self) -> State:
        return State("active (running)" if self.started else "inactive (dead)")

    def remove(self) -> list[Path]:
        was, self.installed = self.installed, None
        return [self.file] if was else []


class World:
    """What is there around the command."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.manager = Manager(root / "unit")
        self.seen = ANSWERS
        self.taken = False
        self.trial_fails = ""
        self.environment = {
            "HOME": str(root),
            "FOUNDRY_COMPRESS_STATE_DIR": str(root / "state"),
            "FOUNDRY_COMPRESS_CONFDIR": str(root / "certs"),
        }
        monkeypatch.chdir(root)
        monkeypatch.setattr(command, "of_this_machine", lambda _: self.manager)
        monkeypatch.setattr(trial, "answer_at", lambda _: self.seen)
        monkeypatch.setattr(trial, "wait_for_answer", lambda *_: self.seen)
        monkeypatch.setattr(trial, "is_taken", lambda _: self.taken)
        monkeypatch.setattr(trial, "try_out", self._try_out)

    def _try_out(self, service: Service, _: object) -> None:
        assert self.manager.started == 0 or self.manager.installed != service
        if self.trial_fails:
            raise LauncherError(self.trial_fails)

    def __call__(self, *arguments: str, **variables: str) -> int:
        return main(arguments, self.environment | variables)


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_install(service: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert service("install", "--mode", "lossless") == 0
    assert service.manager.installed
    assert service.manager.installed.port == 8787
    assert service.manager.installed.environment["FOUNDRY_COMPRESS_MODE"] == "lossless"
    assert service.manager.started == 1
    out, err = capsys.readouterr()
    assert out.startswith("Installed, and answering at 127.0.0.1:8787 in mode balanced")
    assert err == ""


def test_a_project_in_which_one_stands_has_no_say(service: World) -> None:
    """Its files may be anybody's, and the service is for all projects."""
    settings = Path(service.environment["HOME"]) / "project" / ".claude" / "settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"env": {"HTTPS_PROXY": "http://elsewhere.example:1", "FOUNDRY_COMPRESS_MODE": "off"}}')
    os.chdir(settings.parent.parent)
    assert service("install") == 0
    assert service.manager.installed
    assert set(service.manager.installed.environment) == {"FOUNDRY_COMPRESS_STATE_DIR", "FOUNDRY_COMPRESS_CONFDIR"}


def test_install_again(service: World, capsys: pytest.CaptureFixture[str]) -> None:
    service("install", "--port", "9000")
    service.taken = True  # by itself
    assert service("install") == 0
    assert service.manager.started == 1
    assert "nothing was changed" in capsys.readouterr().out
    assert service("install", "--mode", "observe") == 0
    assert service.manager.started == 2
    assert service.manager.installed
    assert service.manager.installed.port == 9000


def test_install_again_where_it_does_not_answer(service: World) -> None:
    service("install")
    service.manager.started = 0
    service.seen = SILENT
    assert service("install") == 1
    assert service.manager.started == 1


def test_install_cannot(service: World, capsys: pytest.CaptureFixture[str]) -> None:
    service.manager.cannot = "no systemd here: do this."
    assert service("install") == 2
    service.manager.cannot = ""
    service.taken = True
    assert service("install") == 2
    service.taken = False
    service.trial_fails = "the proxy would not start: why"
    assert service("install") == 2
    assert service("install", HTTPS_PROXY="socks5://127.0.0.1:1") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.partition(":")[0] for line in err.splitlines()] == ["service"] * 4
    assert "somebody else listens at 127.0.0.1:8787" in err
    assert service.manager.installed is None
    assert not (Path(service.environment["HOME"]) / "state").exists()


def test_what_the_manager_has_to_say(service: World, capsys: pytest.CaptureFixture[str]) -> None:
    service.manager.remarks = ["it has no view of its own."]
    assert service("install") == 0
    assert capsys.readouterr().err == "service: it has no view of its own.\n"


def test_installed_but_silent(service: World, capsys: pytest.CaptureFixture[str]) -> None:
    service.seen = SILENT
    assert service("install") == 1
    err = capsys.readouterr().err
    assert err == (
        "service: installed, but the proxy does not answer (systemd: active (running)); `show the log` says why.\n"
    )


def test_status(service: World, capsys: pytest.CaptureFixture[str]) -> None:
    service.seen = SILENT
    assert service("status") == 1
    assert capsys.readouterr().out == "installed  no\nanswering  no: 127.0.0.1:8787, nothing listens there\n"
    service.seen = ANSWERS
    service("install")
    capsys.readouterr()
    assert service("status", "--wait", "1") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"installed  {service.manager.file}",
        "running    systemd: active (running)",
        "answering  http://127.0.0.1:8787, Foundry Compress 9.9, mode balanced",
    ]
    service.seen = Look(Kind.MITMPROXY)
    assert service("status", "--port", "9") == 1
    assert capsys.readouterr().out.splitlines()[2:] == [
        "answering  no: 127.0.0.1:9, a mitmproxy without the addon",
        "log        show the log",
    ]


def test_uninstall(service: World, capsys: pytest.CaptureFixture[str]) -> None:
    service("install", HTTPS_PROXY="http://user:secret@company.example:3128")
    state = Path(service.environment["HOME"]) / "state"
    assert (state / "service").exists()
    (state / "ledger.sqlite3").write_text("x")
    capsys.readouterr()
    assert service("uninstall") == 0
    assert not (state / "service").exists()
    assert capsys.readouterr().out.splitlines() == [
        f"Removed {service.manager.file}",
        f"Kept the ledger and what is remembered of conversations: {state}",
        "scripts/service uninstall --purge removes these too.",
    ]
    assert service("uninstall", "--purge") == 0
    assert capsys.readouterr().out.splitlines() == [
        "It was not installed.",
        f"Removed the ledger and what is remembered of conversations: {state}",
    ]
    assert not state.exists()


def test_a_client_that_is_still_led_there(service: World, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Path(service.environment["HOME"]) / ".claude" / "settings.json"
    settings.parent.mkdir()
    settings.write_text('{"env": {"HTTPS_PROXY": "http://127.0.0.1:8787"}}')
    service("install")
    assert service("uninstall") == 0
    assert f"service: {settings} still leads Claude Code to 127.0.0.1:8787" in capsys.readouterr().err


def test_run(service: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, bool]] = []

    def run(port: int, _: object, *, quiet: bool) -> int:
        seen.append((port, quiet))
        return 0

    monkeypatch.setattr(running, "run", run)
    assert service("run", "--port", "7", "--quiet") == service("run") == 0
    assert seen == [(7, True), (8787, False)]


@pytest.mark.parametrize("arguments", [[], ["start"], ["install", "--port", "x"], ["status", "--wait"]])
def test_arguments_that_are_not_possible(service: World, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        service(*arguments)
    assert raised.value.code == 2


def test_interrupted(service: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: object) -> Look:
        raise KeyboardInterrupt

    monkeypatch.setattr(trial, "answer_at", interrupt)
    assert service("status") == 130


def test_help_names_the_commands(service: World, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        service("--help")
    said = capsys.readouterr().out
    assert all(f"  {name}  " in said for name in ("install", "status", "uninstall", "run"))

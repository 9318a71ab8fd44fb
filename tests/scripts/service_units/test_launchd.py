from __future__ import annotations

import plistlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.errors import LauncherError
from service_units import launchd, managers
from service_units.description import Service
from service_units.launchd import LABEL, Launchd, plist, read_plist
from service_units.manager import Asked, State, ask

# XML has no way to write these.
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
SERVICES = st.builds(Service, st.integers(1, 65535), st.dictionaries(st.sampled_from(["A", "B"]), TEXT))
SERVICE = Service(8787, {"FOUNDRY_COMPRESS_MODE": "lossless"})
LOG = Path("/Users/dev/Library/Logs/foundry-compress.log")
# launchd.plist(5): the type of each key that is used.
DOCUMENTED: dict[str, type] = {
    "Label": str,
    "ProgramArguments": list,
    "EnvironmentVariables": dict,
    "RunAtLoad": bool,
    "KeepAlive": dict,
    "ProcessType": str,
    "Umask": int,
    "StandardOutPath": str,
    "StandardErrorPath": str,
}


@given(SERVICES)
def test_what_is_written_is_read_back(service: Service) -> None:
    assert read_plist(plist(service, LOG)) == service


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"<plist/>", plistlib.dumps({}), plistlib.dumps([]), plistlib.dumps({"ProgramArguments": ["a"]})],
)
def test_other_lists_are_not_ours(content: bytes) -> None:
    assert read_plist(content) is None


def test_the_keys_are_documented_ones() -> None:
    document = plistlib.loads(plist(SERVICE, LOG))
    assert {name: type(value) for name, value in document.items()} == DOCUMENTED
    assert document["Label"] == LABEL
    assert document["ProgramArguments"] == SERVICE.arguments
    assert Path(document["ProgramArguments"][0]).is_absolute()
    assert document["KeepAlive"] == {"SuccessfulExit": False}
    assert document["ProcessType"] in ("Background", "Standard", "Adaptive", "Interactive")
    assert document["Umask"] == 0o077


class Answers:
    def __init__(self, **codes: list[int]) -> None:
        self.asked: list[list[str]] = []
        self.codes = codes
        self.out = ""

    def __call__(self, argv: list[str]) -> Asked:
        assert argv[0] == "launchctl"
        self.asked.append(argv[1:])
        codes = self.codes.get(argv[1], [])
        return Asked(codes.pop(0) if codes else 0, self.out, "5: Input/output error")


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Launchd:
    monkeypatch.setattr(launchd, "_PAUSE", 0)
    monkeypatch.setattr("os.getuid", lambda: 501)
    return Launchd(tmp_path)


def test_start_waits_for_what_is_ending(manager: Launchd, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(bootout=[3], bootstrap=[5, 5, 0])
    monkeypatch.setattr(launchd, "ask", answers)
    assert not manager.holds(SERVICE)
    manager.write(SERVICE)
    assert manager.holds(SERVICE)
    assert manager.start() == []
    assert answers.asked[0] == ["bootout", f"gui/501/{LABEL}"]
    assert answers.asked[-1] == ["bootstrap", "gui/501", str(manager.file)]
    assert manager.read() == SERVICE


def test_it_does_not_start(manager: Launchd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launchd, "ask", Answers(bootstrap=[5] * 20))
    with pytest.raises(LauncherError, match=r"launchctl bootstrap gui/501 .*: 5: Input/output error"):
        manager.start()


def test_no_session(manager: Launchd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launchd, "ask", Answers(print=[113]))
    with pytest.raises(LauncherError, match=r"launchd has no session of yours .*scripts/service run"):
        manager.check()


def test_state(manager: Launchd, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers()
    monkeypatch.setattr(launchd, "ask", answers)
    answers.out = f"gui/501/{LABEL} = {{\n\tactive count = 1\n\tstate = running\n\n\tpid = 7\n}}\n"
    assert manager.state() == State("running")
    answers.out = "\tstate = not running\n"
    assert manager.state() == State("not running")
    answers.codes = {"print": [113]}
    assert manager.state() == State("not loaded")
    monkeypatch.setattr(launchd, "ask", ask)
    assert manager.state() == State("launchctl is not here")


def test_remove(tmp_path: Path, manager: Launchd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launchd, "ask", Answers())
    manager.write(SERVICE)
    manager.log.write_text("x")
    assert manager.remove() == [manager.file, manager.log]
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []
    assert manager.remove() == []


def test_it_is_the_one_of_a_mac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert isinstance(managers.of_this_machine({}, "darwin"), Launchd)
    assert managers.of_this_machine({"HOME": "/x"}, "linux").name == "systemd"

from __future__ import annotations

import json
from pathlib import Path

import pytest

from launcher.client_settings import ClientSettings, option_value, read


def write(file: Path, **variables: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"env": variables, "model": "x"}))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path


def settings(home: Path, *arguments: str, **environment: str) -> ClientSettings:
    return read({"HOME": str(home), **environment}, arguments, home / "work", home / "managed")


def test_without_files_the_environment_counts(home: Path) -> None:
    found = settings(home, A="1")
    assert found.variables == {"HOME": str(home), "A": "1"}
    assert found.origin("A") == "the environment"
    assert found.managed == frozenset()


def test_each_source_overrides_the_ones_before(home: Path) -> None:
    files = [
        home / ".claude.json",
        home / ".claude" / "settings.json",
        home / "work" / ".claude" / "settings.json",
        home / "work" / ".claude" / "settings.local.json",
    ]
    for number, file in enumerate(files):
        write(file, WHO=str(number))
        found = settings(home, WHO="environment")
        assert found.variables["WHO"] == str(number)
        assert found.origin("WHO") == str(file)
    assert settings(home, "--settings", '{"env": {"WHO": "argument"}}').variables["WHO"] == "argument"
    managed = [home / "managed" / "managed-settings.json", home / "managed" / "managed-settings.d" / "10-x.json"]
    for file in managed:
        write(file, WHO=file.name)
        found = settings(home, "--settings", '{"env": {"WHO": "argument"}}')
        assert found.variables["WHO"] == file.name
        assert found.origin("WHO") == str(file)
        assert found.managed == {"WHO"}


def test_config_dir_moves_the_users_settings(home: Path) -> None:
    write(home / ".claude" / "settings.json", A="wrong")
    write(home / "moved" / "settings.json", A="right")
    write(home / "moved" / ".claude.json", B="right")
    found = settings(home, CLAUDE_CONFIG_DIR=str(home / "moved"))
    assert (found.variables["A"], found.variables["B"]) == ("right", "right")


def test_settings_option_names_a_file(home: Path) -> None:
    write(home / "work" / "mine.json", A="1")
    assert settings(home, "--settings", "mine.json").variables["A"] == "1"
    assert settings(home, "-p", f"--settings={home / 'work' / 'mine.json'}").variables["A"] == "1"


def test_setting_sources_are_left_out_as_asked(home: Path) -> None:
    write(home / ".claude" / "settings.json", A="user")
    write(home / "work" / ".claude" / "settings.json", B="project")
    found = settings(home, "--setting-sources", "project")
    assert "A" not in found.variables
    assert found.variables["B"] == "project"


def test_values_that_are_no_strings(home: Path) -> None:
    write(home / ".claude" / "settings.json", A=1, B=True)
    found = settings(home)
    assert (found.variables["A"], found.variables["B"]) == ("1", "true")


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"env": [1]}', b'{"env": null}', b"\xff\xfe", b"[" * 100_000])
def test_a_file_that_is_no_settings_sets_nothing(home: Path, content: bytes) -> None:
    (home / ".claude").mkdir()
    (home / ".claude" / "settings.json").write_bytes(content)
    assert settings(home).origins == {}


def test_a_byte_order_mark_is_read_over(home: Path) -> None:
    (home / ".claude").mkdir()
    (home / ".claude" / "settings.json").write_bytes(b'\xef\xbb\xbf{"env": {"A": "1"}}')
    assert settings(home).variables["A"] == "1"


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ([], None),
        (["--settings"], None),
        (["--settings", "a"], "a"),
        (["--settings=a"], "a"),
        (["--settings", "a", "--settings=b"], "b"),
        (["--", "--settings", "a"], None),
        (["--settings-x", "a"], None),
    ],
)
def test_option_value(arguments: list[str], value: str | None) -> None:
    assert option_value(arguments, "--settings") == value

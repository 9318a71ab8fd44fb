from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from supply_chain.command import GROUPS, PROJECT
from supply_chain.components import MissingError, installed, project_version


def project(folder: Path, *dependencies: str, groups: str = "") -> Path:
    (folder / "pyproject.toml").write_text(
        f'[project]\nversion = "1.2.3"\ndependencies = {list(dependencies)}\n[dependency-groups]\n{groups}\n'
    )
    return folder


def names(folder: Path, *groups: str) -> dict[str, bool]:
    return {one.name: one.is_optional for one in installed(folder, groups)}


def test_what_is_named_and_what_that_needs(tmp_path: Path) -> None:
    assert names(project(tmp_path, "jinja2>=3")) == {"jinja2": False, "markupsafe": False}
    (jinja, _) = installed(tmp_path)
    assert (jinja.version, jinja.needs) == (metadata.version("jinja2"), ("markupsafe",))
    assert project_version(tmp_path) == "1.2.3"


def test_a_condition_that_does_not_hold_here_leaves_it_out(tmp_path: Path) -> None:
    assert names(project(tmp_path, "no-such-package; sys_platform == 'plan9'", "Blinker")) == {"blinker": False}


def test_extras_bring_what_they_need(tmp_path: Path) -> None:
    assert "h2" not in names(project(tmp_path, "urllib3"))
    assert "h2" in names(project(tmp_path, "urllib3[h2]"))
    assert "h2" in names(project(tmp_path, "urllib3", "urllib3[h2]"))


def test_what_only_a_group_needs_is_optional(tmp_path: Path) -> None:
    groups = 'one = ["rich", { include-group = "two" }]\ntwo = ["blinker", "jinja2"]'
    assert names(project(tmp_path, "jinja2", groups=groups), "one") == {
        "blinker": True,
        "jinja2": False,
        "markdown-it-py": True,
        "markupsafe": False,
        "mdurl": True,
        "pygments": True,
        "rich": True,
    }


def test_what_is_not_installed_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no-such-package is not installed: scripts/test"):
        installed(project(tmp_path, "no-such-package"))


def test_the_project_pins_all_that_it_needs() -> None:
    """Another version than the one that was tested comes in on purpose, or not at all."""
    pinned = dict(
        line.split("==") for line in (PROJECT / "constraints.txt").read_text().splitlines() if not line.startswith("#")
    )
    needed = {one.name: one.version for one in installed(PROJECT, GROUPS)}
    assert {name: pinned.get(name) for name in needed} == needed


def test_the_hot_path_has_few_dependencies() -> None:
    """What a request passes is mitmproxy's and ours; a further package on that path is a decision, not an accident."""
    named = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {line.split(">")[0] for line in named} == {"mitmproxy", "tiktoken", "msgspec", "platformdirs"}

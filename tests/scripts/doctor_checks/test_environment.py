from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

from doctor_checks import environment
from doctor_checks.environment import EnvironmentState
from doctor_checks.finding import Verdict

PROJECT = Path(__file__).resolve().parents[3]


def test_this_environment_is_in_order() -> None:
    found = list(environment.check(PROJECT, EnvironmentState.CURRENT))
    assert [finding.name for finding in found] == ["Python", "mitmproxy", "packages", "token ranks"]
    assert {finding.verdict for finding in found} == {Verdict.OK}


def test_an_environment_that_is_missing_or_outdated() -> None:
    missing = environment.judge_python("3.13.0", "/usr", EnvironmentState.MISSING)
    assert missing.verdict is Verdict.FAILED
    assert "scripts/make_ca" in missing.remedy
    assert environment.judge_python("3.13.0", "/x/.venv", EnvironmentState.OUTDATED).verdict is Verdict.WARNING


@pytest.mark.parametrize(
    ("version", "reason"),
    [("12.2.2", "tested"), ("11.0", "tested"), ("12.3.0", "certifi"), ("13", "certifi"), (None, "not there")],
)
def test_another_mitmproxy_fails_and_it_is_said_why(version: str | None, reason: str) -> None:
    found = environment.judge_mitmproxy(version)
    assert found.verdict is Verdict.FAILED
    assert reason in found.detail
    assert found.remedy


@pytest.mark.parametrize("version", ["12.2.3", "12.2.10", "12.2.4.dev1"])
def test_mitmproxy_as_asked_for(version: str) -> None:
    assert environment.judge_mitmproxy(version).verdict is Verdict.OK


def test_the_versions_and_packages_are_those_of_the_project() -> None:
    asked = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
    least, less = (".".join(map(str, numbers)) for numbers in (environment.LEAST, environment.LESS_THAN))
    assert f"mitmproxy>={least},<{less}" in asked
    names = {str(re.split(r"[^a-z]", line)[0]) for line in asked}
    assert names - {"mitmproxy"} <= set(environment.PACKAGES)


def test_packages_that_are_missing_or_broken_are_named() -> None:
    def load(name: str) -> None:
        if name == "msgspec":
            raise ImportError
        if name == "certifi":
            raise RuntimeError

    missing = environment.missing_packages(environment.PACKAGES, load)
    assert missing == ["msgspec", "certifi"]
    found = environment.judge_packages(missing)
    assert (found.verdict, found.detail) == (Verdict.FAILED, "cannot be imported: msgspec, certifi")


def test_ranks_that_are_missing_or_changed(tmp_path: Path) -> None:
    file = tmp_path / "ranks"
    assert environment.judge_ranks(file).verdict is Verdict.FAILED
    file.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    changed = environment.judge_ranks(file)
    assert changed.verdict is Verdict.FAILED
    assert "not the published ones" in changed.detail
    assert "git checkout" in changed.remedy


def test_the_digest_is_the_one_that_tiktoken_compares_with() -> None:
    module = importlib.util.find_spec("tiktoken_ext.openai_public")
    assert module
    assert environment.RANKS_SHA256 in Path(str(module.origin)).read_text()

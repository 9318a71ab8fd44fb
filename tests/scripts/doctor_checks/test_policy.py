from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from configuring import company_policy
from doctor_checks import policy
from doctor_checks.finding import Finding, Verdict
from tests.scripts.doctor_checks.machine import by_name

FIXED = (
    'modes = ["observe", "lossless"]\nextra_hosts = ["gateway.example.com"]\nmay_add_hosts = false\nkeep_days = 30\n'
)


def check(file: Path, mode: str = "", hosts: Sequence[str] = ()) -> dict[str, Finding]:
    environment = {"FOUNDRY_COMPRESS_MODE": mode} if mode else {}
    return by_name(policy.check(file, environment, hosts))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "policy.toml"
    file.write_text(FIXED)
    return file


def test_none(tmp_path: Path) -> None:
    (found,) = check(tmp_path / "policy.toml").values()
    assert (found.verdict, found.detail) == (Verdict.SKIPPED, f"there is none ({tmp_path / 'policy.toml'})")
    assert policy.hosts(tmp_path / "policy.toml") == ()


def test_what_it_fixes_is_shown(file: Path) -> None:
    loaded = company_policy.load(file)
    assert loaded
    locked = policy.judge(replace(loaded, is_locked=True))
    assert locked.verdict is Verdict.OK
    assert locked.detail.startswith(f"{file} (locked): modes observe lossless; hosts gateway.example.com")
    assert "30 days" in locked.detail
    assert policy.hosts(file) == ("gateway.example.com",)


def test_one_that_the_user_could_change(file: Path) -> None:
    found = check(file)["company policy"]
    assert found.verdict is Verdict.WARNING
    assert "not locked" in found.detail
    assert str(file) in found.remedy


@pytest.mark.parametrize("text", ["modes =", 'modes = ["fast"]', "unheard_of = 1"])
def test_a_broken_one(file: Path, text: str) -> None:
    file.write_text(text)
    (found,) = check(file, "balanced").values()
    assert found.verdict is Verdict.FAILED
    assert str(file) in found.detail
    assert "administrator" in found.remedy
    assert policy.hosts(file) == ()


def test_what_is_set_beyond_it(file: Path) -> None:
    found = check(file, "balanced", ["gateway.example.com", "other.example.com"])
    assert found["policy: mode"].verdict is Verdict.FAILED
    assert "observe, lossless" in found["policy: mode"].remedy
    assert found["policy: hosts"].verdict is Verdict.FAILED
    assert found["policy: hosts"].detail == "beyond the company policy: other.example.com"


def test_what_is_set_within_it(file: Path) -> None:
    assert list(check(file, "lossless", ["gateway.example.com"])) == ["company policy"]


def test_providers_beyond_it(file: Path) -> None:
    named = ["bedrock:us-east-1", "anthropic"]
    found = by_name(policy.check(file, {}, (), named))["policy: providers"]
    assert found.verdict is Verdict.FAILED
    assert found.detail == "beyond the company policy: bedrock:us-east-1, anthropic; allowed are none"
    file.write_text('providers = ["bedrock"]\n')
    found = by_name(policy.check(file, {}, (), named))["policy: providers"]
    assert found.detail == "beyond the company policy: anthropic; allowed are bedrock"
    assert list(by_name(policy.check(file, {}, (), named[:1]))) == ["company policy"]

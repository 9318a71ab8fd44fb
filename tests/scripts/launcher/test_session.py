from __future__ import annotations

from pathlib import Path

import pytest

from configuring import company_policy
from configuring.foundry_options import OPTION_NAMES
from launcher import session
from launcher.errors import LauncherError
from launcher.foundry_target import FoundryTarget


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the policy is to stand."""
    file = tmp_path / "policy.toml"
    monkeypatch.setattr(company_policy, "POLICY_FILE", file)
    monkeypatch.delenv("FOUNDRY_COMPRESS_EXTRA_HOSTS", raising=False)
    return file


def test_providers_come_from_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FOUNDRY_COMPRESS_PROVIDERS", raising=False)
    assert session._providers() == ()
    monkeypatch.setenv("FOUNDRY_COMPRESS_PROVIDERS", "Bedrock, vertex:us-east5,bedrock")
    assert session._providers() == ("bedrock", "vertex:us-east5")
    monkeypatch.setenv("FOUNDRY_COMPRESS_PROVIDERS", "bedrock,azure")
    with pytest.raises(LauncherError, match=r"^FOUNDRY_COMPRESS_PROVIDERS: 'azure' is not possible; allowed are "):
        session._providers()


def test_providers_are_held_against_the_policy(monkeypatch: pytest.MonkeyPatch, policy: Path) -> None:
    policy.write_text('providers = ["vertex"]\n')
    monkeypatch.setenv("FOUNDRY_COMPRESS_PROVIDERS", "vertex")
    assert session._providers() == ("vertex",)
    monkeypatch.setenv("FOUNDRY_COMPRESS_PROVIDERS", "vertex,bedrock")
    with pytest.raises(LauncherError, match=r"^FOUNDRY_COMPRESS_PROVIDERS: 'bedrock' is beyond the company policy"):
        session._providers()


def test_every_option_has_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OPTION_NAMES:
        monkeypatch.setenv(f"FOUNDRY_COMPRESS_{name.removeprefix('foundry_').upper()}", "3")
    # Hosts and providers go through the certificate authority first; the token is not for those whom the proxy serves;
    # mitmweb is started by hand.
    others = {"foundry_extra_hosts", "foundry_flows_mb", "foundry_providers", "foundry_token"}
    assert session._options() == dict.fromkeys(OPTION_NAMES - others, "3")


GATEWAY = FoundryTarget("gate.example", is_gateway=True)
FOUNDRY = FoundryTarget("made-up.services.ai.azure.com", is_gateway=False)


@pytest.mark.usefixtures("policy")
def test_hosts_without_a_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOUNDRY_COMPRESS_EXTRA_HOSTS", "b.example, https://A.example/x,b.example")
    assert session._extra_hosts(GATEWAY) == ["b.example", "a.example", "gate.example"]
    assert session._extra_hosts(FOUNDRY) == ["b.example", "a.example"]


def test_hosts_of_the_policy_are_known_before_the_authority_is_made(policy: Path) -> None:
    policy.write_text('extra_hosts = ["gate.example", "c.example"]\nmay_add_hosts = false\n')
    assert session._extra_hosts(GATEWAY) == ["gate.example", "c.example"]
    assert session._extra_hosts(FOUNDRY) == ["c.example", "gate.example"]


def test_hosts_beyond_the_policy_are_refused_by_name(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy.write_text("may_add_hosts = false\n")
    with pytest.raises(
        LauncherError, match=r"^ANTHROPIC_FOUNDRY_BASE_URL: 'gate\.example' is beyond the company policy"
    ):
        session._extra_hosts(GATEWAY)
    monkeypatch.setenv("FOUNDRY_COMPRESS_EXTRA_HOSTS", "b.example")
    with pytest.raises(
        LauncherError, match=r"^FOUNDRY_COMPRESS_EXTRA_HOSTS: 'b\.example' is beyond the company policy"
    ):
        session._extra_hosts(FOUNDRY)


def test_a_broken_policy_stops_nobody(policy: Path) -> None:
    policy.write_text("may_add_host = false\n")
    assert session._extra_hosts(GATEWAY) == ["gate.example"]

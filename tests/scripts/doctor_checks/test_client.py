from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from connecting import certificate_authority
from doctor_checks import client
from doctor_checks.finding import Finding, Verdict
from doctor_checks.proxy import Kind, Look, NamedProxy
from doctor_checks.request import Target
from launcher.client_settings import ClientSettings
from tests.scripts.doctor_checks.machine import HOST, by_name, settings

NO_PROXY_SET = Look(Kind.NONE)
ADDON = Look(Kind.ADDON, NamedProxy("http", "127.0.0.1", 8080, "HTTPS_PROXY in the environment"), "1", "balanced")
SET_UP = {
    "CLAUDE_CODE_USE_FOUNDRY": "1",
    "ANTHROPIC_FOUNDRY_RESOURCE": "made-up",
    "ANTHROPIC_FOUNDRY_API_KEY": "made-up-key",
}
GATEWAY = {
    "CLAUDE_CODE_USE_FOUNDRY": "1",
    "ANTHROPIC_FOUNDRY_BASE_URL": "https://gateway.example.com/team",
    "ANTHROPIC_FOUNDRY_API_KEY": "made-up-key",
}


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return certificate_authority.ensure(tmp_path / "certs").certificate_path


def check(
    home: Path,
    variables: Mapping[str, str],
    proxy: Look = NO_PROXY_SET,
    certificate: Path | None = None,
    **files: Mapping[str, str],
) -> dict[str, Finding]:
    """`files` maps user, project or managed to an `env` block."""
    places = {"user": home / ".claude", "project": home / "work" / ".claude", "managed": home / "managed"}
    for name, block in files.items():
        places[name].mkdir(parents=True, exist_ok=True)
        file = places[name] / ("managed-settings.json" if name == "managed" else "settings.json")
        file.write_text(json.dumps({"env": block}))
    return by_name(client.check(settings(home, **variables), variables, proxy, certificate))


def test_set_up_for_the_launcher(tmp_path: Path, certificate: Path) -> None:
    found = check(tmp_path, SET_UP, certificate=certificate)
    assert {name: finding.verdict.value for name, finding in found.items()} == {
        "Claude Code": "ok",
        "Foundry resource": "ok",
        "sign-in": "ok",
        "NO_PROXY": "ok",
        "NODE_EXTRA_CA_CERTS": "skipped",
    }
    assert found["Foundry resource"].detail == f"{HOST} (ANTHROPIC_FOUNDRY_RESOURCE in the environment)"


def test_a_settings_file_is_named_as_the_origin(tmp_path: Path) -> None:
    found = check(tmp_path, {}, user=SET_UP)
    assert found["Claude Code"].detail.endswith(f"in {tmp_path}/.claude/settings.json")
    assert found["Foundry resource"].detail.endswith(f"in {tmp_path}/.claude/settings.json)")


def test_nothing_is_set_up(tmp_path: Path) -> None:
    found = check(tmp_path, {})
    assert found["Claude Code"].verdict is Verdict.FAILED
    assert "set CLAUDE_CODE_USE_FOUNDRY=1" in found["Claude Code"].remedy
    assert found["Foundry resource"].verdict is Verdict.FAILED
    assert "ANTHROPIC_FOUNDRY_RESOURCE" in found["Foundry resource"].remedy
    assert found["sign-in"].verdict is Verdict.WARNING
    assert found["NO_PROXY"].verdict is Verdict.SKIPPED


def test_foundry_is_switched_off_in_a_settings_file(tmp_path: Path) -> None:
    found = check(tmp_path, SET_UP, project={"CLAUDE_CODE_USE_FOUNDRY": "0"})["Claude Code"]
    assert found.verdict is Verdict.FAILED
    assert f"{tmp_path}/work/.claude/settings.json is not 1" in found.detail


def test_bedrock_is_preferred_by_claude_code(tmp_path: Path) -> None:
    found = check(tmp_path, {**SET_UP, "CLAUDE_CODE_USE_BEDROCK": "1"})["Claude Code"]
    assert found.verdict is Verdict.FAILED
    assert found.remedy == "unset it."


def test_resource_and_base_url_together(tmp_path: Path) -> None:
    found = check(tmp_path, {**SET_UP, **GATEWAY}, user={"ANTHROPIC_FOUNDRY_RESOURCE": "made-up"})["Foundry resource"]
    assert found.verdict is Verdict.FAILED
    assert "are both set" in found.detail
    assert f"ANTHROPIC_FOUNDRY_RESOURCE (in {tmp_path}/.claude/settings.json)" in found.detail
    assert "ANTHROPIC_FOUNDRY_BASE_URL (in the environment)" in found.detail
    assert found.remedy == "unset one of them."


@pytest.mark.parametrize(
    "variables",
    [
        {"ANTHROPIC_FOUNDRY_RESOURCE": "https://made-up.services.ai.azure.com"},
        {"ANTHROPIC_FOUNDRY_BASE_URL": "http://somebody:hunter2@made-up.services.ai.azure.com"},
        {"ANTHROPIC_FOUNDRY_BASE_URL": "ftp://somebody:hunter2@gateway.example.com"},
        {"ANTHROPIC_FOUNDRY_BASE_URL": "somebody:hunter2@gateway.example.com"},
        {"ANTHROPIC_FOUNDRY_BASE_URL": "https://10.0.0.1/team"},
        {"ANTHROPIC_FOUNDRY_BASE_URL": "https://gateway.example.com:port/team"},
    ],
)
def test_a_resource_or_base_url_that_is_none(variables: dict[str, str], tmp_path: Path) -> None:
    found = check(tmp_path, {"CLAUDE_CODE_USE_FOUNDRY": "1", **variables})["Foundry resource"]
    assert found.verdict is Verdict.FAILED
    assert found.remedy
    assert "hunter2" not in found.detail + found.remedy


def test_where_a_request_would_go(tmp_path: Path) -> None:
    assert client.target(settings(tmp_path, **SET_UP)) == Target(HOST)
    assert client.target(settings(tmp_path, **GATEWAY)) == Target(
        "gateway.example.com", 443, "/team/v1/messages", is_gateway=True
    )
    url = f"https://{HOST}:8443/anthropic/"
    assert client.target(settings(tmp_path, ANTHROPIC_FOUNDRY_BASE_URL=url)) == Target(
        HOST, 8443, "/anthropic/v1/messages"
    )
    plain = client.target(settings(tmp_path, ANTHROPIC_FOUNDRY_BASE_URL="http://gateway.example.com"))
    assert plain == Target("gateway.example.com", 80, "/v1/messages", is_gateway=True, is_plain=True)
    assert client.target(settings(tmp_path)) is None
    odd = client.target(settings(tmp_path, ANTHROPIC_FOUNDRY_BASE_URL="https://gateway.example.com/a b/\u00fc%20?k=v"))
    assert odd
    assert odd.path == "/a%20b/%C3%BC%20/v1/messages"


def test_hosts_beside_foundry_s_own(tmp_path: Path) -> None:
    variables = {**GATEWAY, "FOUNDRY_COMPRESS_EXTRA_HOSTS": "https://Other.example.com/x, *.wild.example.com 10.0.0.1"}
    hosts, wrong = client.extra_hosts(variables, settings(tmp_path, **variables))
    assert hosts == ["other.example.com", "gateway.example.com"]
    assert wrong == ["*.wild.example.com", "10.0.0.1"]
    found = check(tmp_path, variables)["extra hosts"]
    assert found.verdict is Verdict.FAILED
    assert "*.wild.example.com, 10.0.0.1 is not possible" in found.detail
    secret = {**GATEWAY, "FOUNDRY_COMPRESS_EXTRA_HOSTS": "https://somebody:hunter2@10.0.0.1"}
    assert "hunter2" not in check(tmp_path, secret)["extra hosts"].detail


def test_providers_beside_foundry(tmp_path: Path) -> None:
    variables = {**SET_UP, "FOUNDRY_COMPRESS_PROVIDERS": "Bedrock:us-east-1, vertexx anthropic:us"}
    assert client.named_providers(variables) == (["bedrock:us-east-1"], ["vertexx", "anthropic:us"])
    found = check(tmp_path, variables)["providers"]
    assert found.verdict is Verdict.FAILED
    assert "'vertexx', 'anthropic:us' is not possible; allowed are vertex, bedrock and anthropic" in found.detail
    assert "providers" not in check(tmp_path, {**SET_UP, "FOUNDRY_COMPRESS_PROVIDERS": "vertex,bedrock"})


def test_a_gateway_that_a_proxy_started_by_hand_does_not_know(tmp_path: Path) -> None:
    found = check(tmp_path, {}, ADDON, user=GATEWAY)
    assert found["gateway"].verdict is Verdict.WARNING
    assert found["gateway"].remedy == "start it with --set foundry_extra_hosts=gateway.example.com"
    named = {"FOUNDRY_COMPRESS_EXTRA_HOSTS": "gateway.example.com"}
    assert "gateway" not in check(tmp_path, named, ADDON, user=GATEWAY)
    assert "gateway" not in check(tmp_path, {}, NO_PROXY_SET, user=GATEWAY)
    assert "gateway" not in by_name(client.check(settings(tmp_path), {}, ADDON, None, ["gateway.example.com"]))


def test_a_gateway_in_the_environment_is_seen_by_the_proxy(tmp_path: Path) -> None:
    assert "gateway" not in check(tmp_path, GATEWAY, ADDON)


def test_the_other_base_url_has_no_effect(tmp_path: Path) -> None:
    found = check(tmp_path, {**SET_UP, "ANTHROPIC_BASE_URL": "http://somebody:hunter2@localhost:4000"})["base URL"]
    assert found.verdict is Verdict.WARNING
    assert "hunter2" not in found.detail + found.remedy
    assert "base URL" not in check(tmp_path, {"ANTHROPIC_BASE_URL": "http://localhost:4000"})


@pytest.mark.parametrize("entry", ["*", ".azure.com", HOST, "services.ai.azure.com:443"])
def test_no_proxy_leads_past_the_proxy(entry: str, tmp_path: Path) -> None:
    variables = {**SET_UP, "no_proxy": f"localhost,{entry}"}
    by_hand = check(tmp_path, variables, ADDON)["NO_PROXY"]
    assert by_hand.verdict is Verdict.FAILED
    assert by_hand.detail.startswith(f"{entry} (no_proxy in the environment)")
    assert entry in by_hand.remedy
    with_launcher = check(tmp_path, variables)["NO_PROXY"]
    assert with_launcher.verdict is Verdict.WARNING
    assert "scripts/claude-foundry takes that out" in with_launcher.remedy


def test_the_file_of_authorities(tmp_path: Path, certificate: Path) -> None:
    other = certificate_authority.ensure(tmp_path / "other").certificate_path
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(other.read_bytes() + certificate.read_bytes().replace(b"\n", b"\r\n"))
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    cases = {
        str(certificate): ("ok", "ok", "holds the authority"),
        str(bundle): ("ok", "ok", "holds the authority"),
        str(other): ("failed", "ok", "does not hold the authority"),
        str(empty): ("failed", "warning", "holds no certificate"),
        str(tmp_path / "gone.pem"): ("failed", "warning", "no file that can be read"),
        "": ("failed", "skipped", "is not set"),
    }
    for given, (by_hand, with_launcher, word) in cases.items():
        variables = {**SET_UP, "NODE_EXTRA_CA_CERTS": given}
        for proxy, verdict in ((ADDON, by_hand), (NO_PROXY_SET, with_launcher)):
            found = check(tmp_path, variables, proxy, certificate)["NODE_EXTRA_CA_CERTS"]
            assert (given, found.verdict.value) == (given, verdict)
            assert word in found.detail
            if verdict == "failed":
                assert f"set NODE_EXTRA_CA_CERTS={certificate}" in found.remedy


def test_the_file_of_authorities_where_there_is_none_of_ours(tmp_path: Path, certificate: Path) -> None:
    variables = {**SET_UP, "NODE_EXTRA_CA_CERTS": str(certificate)}
    assert check(tmp_path, variables, ADDON)["NODE_EXTRA_CA_CERTS"].verdict is Verdict.SKIPPED


def test_an_addon_on_another_machine_has_another_authority(tmp_path: Path, certificate: Path) -> None:
    other = certificate_authority.ensure(tmp_path / "other").certificate_path
    there = Look(Kind.ADDON, NamedProxy("http", "proxy.example", 8080, "HTTPS_PROXY in the environment"))
    found = check(tmp_path, {**SET_UP, "NODE_EXTRA_CA_CERTS": str(other)}, there, certificate)
    assert found["NODE_EXTRA_CA_CERTS"].verdict is Verdict.OK


def test_managed_settings_stand_in_the_launcher_s_way(tmp_path: Path, certificate: Path) -> None:
    managed = {"HTTPS_PROXY": "http://somebody:hunter2@proxy.example:3128"}
    other = Look(Kind.OTHER, NamedProxy("http", "proxy.example", 3128, "HTTPS_PROXY in a file"))
    found = check(tmp_path, SET_UP, other, certificate, managed=managed)["managed settings"]
    assert found.verdict is Verdict.FAILED
    assert "ask your administrator" in found.remedy
    assert "hunter2" not in found.detail + found.remedy
    assert "managed settings" not in check(tmp_path, SET_UP, ADDON, certificate, managed=managed)


def test_no_key_ever_shows(tmp_path: Path) -> None:
    found = check(tmp_path, SET_UP)
    assert "made-up-key" not in str(found)


def test_the_settings_are_not_changed(tmp_path: Path) -> None:
    before: ClientSettings = settings(tmp_path, **SET_UP)
    list(client.check(before, SET_UP, NO_PROXY_SET, None))
    assert before == settings(tmp_path, **SET_UP)

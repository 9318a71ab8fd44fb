from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from connecting import certificate_authority
from demo.stand_in import StandIn
from doctor_checks import request
from doctor_checks.environment import EnvironmentState
from doctor_checks.examination import Examination, Subject, guarded
from doctor_checks.finding import Finding, Verdict, ok
from tests.scripts.doctor_checks.machine import HOST, by_name, saying, speaking, tunnelling

PROJECT = Path(__file__).resolve().parents[3]
SET_UP = {
    "CLAUDE_CODE_USE_FOUNDRY": "1",
    "ANTHROPIC_FOUNDRY_RESOURCE": "made-up",
    "ANTHROPIC_FOUNDRY_API_KEY": "made-up-key",
}


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    for name in ("home", "work", "state"):
        (tmp_path / name).mkdir()
    certificate_authority.ensure(tmp_path / "certs")
    return tmp_path


def examine(
    machine: Path, variables: Mapping[str, str], proxy: str | None = None, *, offline: bool = False
) -> dict[str, Finding]:
    subject = Subject(
        project=PROJECT,
        variables={"HOME": str(machine / "home"), **variables},
        directory=machine / "work",
        confdir=machine / "certs",
        state_dir=machine / "state",
        environment_state=EnvironmentState.CURRENT,
        proxy=proxy,
        offline=offline,
        managed_directory=machine / "managed",
        policy_file=machine / "policy.toml",
    )
    return by_name(Examination(subject).findings())


def test_a_machine_on_which_the_launcher_will_work(machine: Path) -> None:
    found = examine(machine, SET_UP, offline=True)
    assert {finding.verdict for finding in found.values()} == {Verdict.OK, Verdict.SKIPPED}
    assert found["proxy"].verdict is Verdict.SKIPPED
    assert found["request to Foundry"].detail == "left out: --offline"


def test_the_request_goes_through_another_proxy_as_the_launcher_s_would(machine: Path) -> None:
    hosts: list[str] = []
    with StandIn() as stand_in, speaking(tunnelling(stand_in.port, hosts)) as port:
        variables = {"HTTPS_PROXY": f"http://127.0.0.1:{port}", "NODE_EXTRA_CA_CERTS": str(stand_in.ca_path)}
        found = examine(machine, SET_UP | variables)
    assert hosts == [f"{HOST}:443"]
    assert found["proxy"].verdict is Verdict.WARNING
    assert found["request to Foundry"].verdict is Verdict.OK
    assert "made-up-key" not in str(found)


def test_the_authority_must_permit_the_gateway(machine: Path) -> None:
    variables = {"CLAUDE_CODE_USE_FOUNDRY": "1", "ANTHROPIC_FOUNDRY_BASE_URL": "https://gateway.example.com"}
    found = examine(machine, variables, offline=True)
    assert found["authority: scope"].verdict is Verdict.FAILED
    assert "gateway.example.com" in found["authority: scope"].remedy


def test_providers_are_held_against_the_authority_and_the_policy(machine: Path) -> None:
    (machine / "policy.toml").write_text("may_add_hosts = false")
    found = examine(machine, {**SET_UP, "FOUNDRY_COMPRESS_PROVIDERS": "bedrock,vertexx"}, offline=True)
    assert found["providers"].verdict is Verdict.FAILED
    assert found["authority: providers"].verdict is Verdict.WARNING
    assert found["policy: providers"].verdict is Verdict.FAILED


def test_what_the_policy_names_counts_as_foundry_s(machine: Path) -> None:
    (machine / "policy.toml").write_text('extra_hosts = ["gateway.example.com"]')
    found = examine(machine, SET_UP, offline=True)
    assert "hosts gateway.example.com" in found["company policy"].detail
    assert found["authority: scope"].detail == "does not permit gateway.example.com"


def addon(mode: str) -> bytes:
    body = json.dumps({"addon": "foundry_compress", "version": "1", "mode": mode, "pid": 1})
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [("silent", "no way"), ("locked", "no way"), ("tls", "TLS"), ("no host", "not known"), ("plain", "plain HTTP")],
)
def test_why_no_request_is_made(reason: str, verdict: str, machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(request, "attempt")
    says = {"silent": b"", "locked": b"HTTP/1.1 407 No\r\n\r\n"}.get(reason, addon("balanced"))
    with speaking(saying(says)) as port:
        scheme = "https" if reason == "tls" else "http"
        plain = {"CLAUDE_CODE_USE_FOUNDRY": "1", "ANTHROPIC_FOUNDRY_BASE_URL": "http://gateway.example.com:4000"}
        variables = {"no host": {}, "plain": plain}.get(reason, SET_UP)
        found = examine(machine, variables, f"{scheme}://127.0.0.1:{port}")
    assert found["request to Foundry"].verdict is Verdict.SKIPPED
    assert verdict in found["request to Foundry"].detail


def test_without_an_authority_the_proxy_s_certificate_is_not_judged(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(request, "attempt")
    for file in (machine / "certs").iterdir():
        file.unlink()
    with speaking(saying(addon("balanced"))) as port:
        found = examine(machine, SET_UP, f"http://127.0.0.1:{port}")
    assert found["authority"].verdict is Verdict.FAILED
    assert found["request to Foundry"].verdict is Verdict.SKIPPED
    assert "there is no " in found["request to Foundry"].detail


@pytest.mark.parametrize("package", ["cryptography", "msgspec", "certifi", "platformdirs"])
def test_a_package_that_is_missing_costs_only_the_checks_that_need_it(
    package: str, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = ("doctor_checks", "launcher", "connecting", "host_rules", "compression_engine")
    for name in [name for name in sys.modules if name.startswith((package, *ours))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    from doctor_checks.examination import Examination as Fresh  # noqa: PLC0415
    from doctor_checks.examination import Subject as FreshSubject  # noqa: PLC0415

    variables = {"HOME": str(machine / "home"), "FOUNDRY_COMPRESS_STATE_DIR": str(machine / "state"), **SET_UP}
    subject = FreshSubject(PROJECT, variables, machine / "work", machine / "certs", None, offline=True)
    found = {finding.name: finding for finding in Fresh(subject).findings()}
    assert found["packages"].verdict.value == "failed"
    assert package in found["packages"].detail
    assert found["proxy"].verdict.value == "skipped"
    needing = [finding for finding in found.values() if f"needs {package}" in finding.detail]
    assert needing
    assert {finding.verdict.value for finding in needing} == {"skipped"}


def test_a_check_that_breaks_is_a_finding() -> None:
    def breaks() -> Iterator[Finding]:
        yield ok("first", "")
        raise ValueError("hunter2")

    first, second = guarded("second", breaks)
    assert first.verdict is Verdict.OK
    assert second.verdict is Verdict.FAILED
    assert "ValueError at test_examination.py:" in second.detail
    assert "hunter2" not in second.detail

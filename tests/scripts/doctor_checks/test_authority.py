from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import pytest
from mitmproxy.certs import CertStore

import provider_hosts
from connecting import certificate_authority
from connecting.certificate_authority import AUTHORITY_FILE, CERTIFICATE_FILE
from doctor_checks import authority
from doctor_checks.finding import Finding, Verdict
from tests.scripts.doctor_checks.machine import by_name

DAY = dt.timedelta(days=1)


def check(directory: Path, hosts: Sequence[str] = (), later: dt.timedelta = dt.timedelta(0)) -> dict[str, Finding]:
    return by_name(authority.check(directory, hosts, dt.datetime.now(dt.UTC) + later))


@pytest.fixture
def made(tmp_path: Path) -> Path:
    certificate_authority.ensure(tmp_path, ["gateway.example.com"])
    return tmp_path


def test_one_that_is_in_order(made: Path) -> None:
    found = check(made, ["gateway.example.com", "deep.gateway.example.com"])
    assert {finding.verdict for finding in found.values()} == {Verdict.OK}
    assert found["authority"].detail == str(made / CERTIFICATE_FILE)
    assert found["authority: scope"].detail == "Foundry's hosts, gateway.example.com and no others"


def test_none(tmp_path: Path) -> None:
    (found,) = check(tmp_path).values()
    assert found.verdict is Verdict.FAILED
    assert found.remedy == f"start scripts/make_ca --directory {tmp_path}, which makes it"


def test_the_project_s_own_folder_needs_no_option(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "make_ca").touch()
    (found,) = check(tmp_path / "certs").values()
    assert found.remedy == "start scripts/make_ca, which makes it"


def test_damaged(made: Path) -> None:
    (made / AUTHORITY_FILE).write_bytes(b"-----BEGIN")
    (found,) = check(made).values()
    assert found.verdict is Verdict.FAILED
    assert "is damaged" in found.detail
    assert "delete it" in found.remedy


def test_expired_near_its_end_and_not_valid_yet(made: Path) -> None:
    expired = check(made, later=certificate_authority.VALIDITY + DAY)["authority: dates"]
    assert expired.verdict is Verdict.FAILED
    assert "--new" in expired.remedy
    near = check(made, later=certificate_authority.VALIDITY - 10 * DAY)["authority: dates"]
    assert near.verdict is Verdict.WARNING
    early = check(made, later=-certificate_authority.BACKDATED - DAY)["authority: dates"]
    assert early.verdict is Verdict.FAILED
    assert "clock" in early.remedy


def test_a_host_that_it_does_not_permit(made: Path) -> None:
    found = check(made, ["gateway.example.com", "other.example.com"])["authority: scope"]
    assert found.verdict is Verdict.FAILED
    assert found.detail == "does not permit other.example.com"
    assert found.remedy.startswith(f"start scripts/make_ca --directory {made} other.example.com, ")


def test_a_provider_whose_hosts_it_does_not_permit(made: Path) -> None:
    certificate_authority.ensure(made, provider_hosts.hosts("bedrock:us-east-1"))
    now = dt.datetime.now(dt.UTC)
    assert "authority: providers" not in by_name(authority.check(made, (), now, ["bedrock:us-east-1"]))
    found = by_name(authority.check(made, (), now, ["bedrock:us-east-1", "bedrock", "vertex:eu"]))
    assert found["authority: scope"].verdict is Verdict.OK
    assert found["authority: providers"].verdict is Verdict.WARNING
    assert found["authority: providers"].detail.startswith("does not permit the hosts of bedrock, vertex:eu: ")
    assert "foundry_providers=bedrock,vertex:eu" in found["authority: providers"].detail


def test_mitmproxy_s_own_can_vouch_for_every_host(tmp_path: Path) -> None:
    CertStore.create_store(tmp_path, "mitmproxy", 2048)
    found = check(tmp_path)["authority: scope"]
    assert found.verdict is Verdict.FAILED
    assert "every host" in found.detail
    assert "--new" in found.remedy


def test_a_key_that_others_can_read(made: Path) -> None:
    (made / AUTHORITY_FILE).chmod(0o640)
    found = check(made)["authority: key"]
    assert found.verdict is Verdict.FAILED
    assert found.remedy == f"chmod 600 {made / AUTHORITY_FILE}"


@pytest.mark.parametrize("is_there", [True, False])
def test_what_clients_trust_is_another_certificate(made: Path, tmp_path: Path, *, is_there: bool) -> None:
    if is_there:
        other = certificate_authority.ensure(tmp_path / "other").certificate_path
        (made / CERTIFICATE_FILE).write_bytes(other.read_bytes())
    else:
        (made / CERTIFICATE_FILE).unlink()
    found = check(made)["authority"]
    assert found.verdict is Verdict.FAILED
    assert "which mends it" in found.remedy
    certificate_authority.ensure(made)
    assert check(made)["authority"].verdict is Verdict.OK

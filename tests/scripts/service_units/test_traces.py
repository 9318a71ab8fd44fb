from __future__ import annotations

from pathlib import Path

import pytest
from mitmproxy.certs import CertStore

from billing.ledger import LEDGER_FILE
from connecting import certificate_authority
from rewriting.request_rewriter import STATE_FILE
from service_units import next_hop, traces
from service_units.description import Service


@pytest.fixture
def service(tmp_path: Path) -> Service:
    state, certs = tmp_path / "state", tmp_path / "certs"
    environment = {"FOUNDRY_COMPRESS_STATE_DIR": str(state), "FOUNDRY_COMPRESS_CONFDIR": str(certs)}
    for name in (
        "trust/ca-bundle.pem",
        "service/next-hop.json",
        "ledger.sqlite3",
        "ledger.sqlite3-wal",
        "conversations.sqlite3",
    ):
        file = state / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    certificate_authority.ensure(certs)
    (certs / "mitmproxy-dhparam.pem").write_text("x")
    return Service(8787, environment)


def test_the_names_are_the_addons() -> None:
    assert traces.DATABASES == (LEDGER_FILE, STATE_FILE)


def test_what_is_kept(service: Service) -> None:
    assert traces.kept(service) == [
        ("the ledger and what is remembered of conversations", service.state_dir),
        ("bundles of certificates for clients", service.state_dir / "trust"),
        ("the certificate authority", service.confdir),
    ]


def test_what_is_its_own_goes_and_no_more(service: Service) -> None:
    before = traces.kept(service)
    traces.remove_own(service)
    assert not next_hop.own_dir(service.environment).exists()
    assert traces.kept(service) == before


def test_purged(service: Service) -> None:
    traces.remove_own(service)
    traces.purge(service)
    assert traces.kept(service) == []
    assert not service.state_dir.exists()
    assert not service.confdir.exists()
    traces.purge(service)


def test_what_is_not_ours_stays(service: Service) -> None:
    (service.state_dir / "notes.txt").write_text("x")
    (service.confdir / "README.md").write_text("x")
    traces.purge(service)
    assert [file.name for file in service.state_dir.iterdir() if file.is_file()] == ["notes.txt"]
    assert [file.name for file in service.confdir.iterdir()] == ["README.md"]


def test_an_authority_that_others_may_trust_stays(service: Service, tmp_path: Path) -> None:
    """mitmproxy's own, for instance, which can vouch for every host."""
    CertStore.create_store(tmp_path / "theirs", "mitmproxy", 2048)
    theirs = Service(8787, {**service.environment, "FOUNDRY_COMPRESS_CONFDIR": str(tmp_path / "theirs")})
    before = sorted((tmp_path / "theirs").iterdir())
    assert [what for what, _ in traces.kept(theirs)][-1] != "the certificate authority"
    traces.purge(theirs)
    assert sorted((tmp_path / "theirs").iterdir()) == before

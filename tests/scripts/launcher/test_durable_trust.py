from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from launcher import trust
from launcher.durable_trust import folder, given, refresh, write
from tests.scripts.launcher.certificates import pem


@pytest.fixture(autouse=True)
def _system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "system", lambda _: pem("system").encode())


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return folder(tmp_path / "state")


@pytest.fixture
def company(tmp_path: Path) -> Path:
    file = tmp_path / "company.pem"
    file.write_text(pem("company"))
    return file


def held(file: str) -> list[str]:
    """The certificates in a bundle."""
    lines = Path(file).read_text().splitlines()
    return [lines[at + 1] for at, line in enumerate(lines) if "BEGIN" in line]


def test_without_anything_of_the_users_own(certificate: Path, directory: Path) -> None:
    variables = write({}, certificate, directory)
    assert set(variables) == {"NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"}
    assert held(variables["NODE_EXTRA_CA_CERTS"]) == ["ours"]
    assert held(variables["SSL_CERT_FILE"]) == held(variables["REQUESTS_CA_BUNDLE"]) == ["system", "ours"]


def test_what_the_user_trusts_stays_trusted(certificate: Path, directory: Path, company: Path) -> None:
    names = ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    variables = write(dict.fromkeys(names, str(company)), certificate, directory)
    assert {name: held(file) for name, file in variables.items()} == {name: ["company", "ours"] for name in names}


def test_asking_twice_changes_nothing(certificate: Path, directory: Path, company: Path) -> None:
    first = write({"NODE_EXTRA_CA_CERTS": str(company)}, certificate, directory)
    before = {file.name: (file.read_bytes(), file.stat().st_ino) for file in directory.iterdir()}
    assert write(first, certificate, directory) == first
    assert {file.name: (file.read_bytes(), file.stat().st_ino) for file in directory.iterdir()} == before


def test_an_authority_that_was_replaced_is_gone(certificate: Path, directory: Path, company: Path) -> None:
    first = write({"NODE_EXTRA_CA_CERTS": str(company)}, certificate, directory)
    certificate.write_text(pem("new"))
    refresh(certificate, directory)
    assert held(first["NODE_EXTRA_CA_CERTS"]) == ["company", "new"]
    assert held(first["SSL_CERT_FILE"]) == ["system", "new"]


def test_what_the_sources_hold_by_now_counts(
    certificate: Path, directory: Path, company: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write({"NODE_EXTRA_CA_CERTS": str(company)}, certificate, directory)
    company.write_text(pem("company 2"))
    monkeypatch.setattr(trust, "system", lambda _: pem("system 2").encode())
    refresh(certificate, directory)
    assert held(first["NODE_EXTRA_CA_CERTS"]) == ["company 2", "ours"]
    assert held(first["SSL_CERT_FILE"]) == ["system 2", "ours"]
    company.unlink()
    refresh(certificate, directory)
    assert held(first["NODE_EXTRA_CA_CERTS"]) == ["company 2", "ours"]


def test_nothing_is_refreshed_where_nothing_is(certificate: Path, directory: Path) -> None:
    refresh(certificate, directory)
    assert not directory.exists()


def test_our_own_certificate_alone_is_nothing_of_the_users(certificate: Path, directory: Path) -> None:
    variables = write({"NODE_EXTRA_CA_CERTS": str(certificate)}, certificate, directory)
    assert held(variables["NODE_EXTRA_CA_CERTS"]) == ["ours"]


def test_others_may_read_them(certificate: Path, directory: Path) -> None:
    """A container's user is another one, and there is no key in them."""
    variables = write({}, certificate, directory)
    assert directory.stat().st_mode & 0o777 == 0o755
    assert {Path(file).stat().st_mode & 0o777 for file in variables.values()} == {0o644}


def test_without_a_system_bundle_nothing_is_replaced(
    certificate: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "system", lambda _: None)
    assert set(write({}, certificate, directory)) == {"NODE_EXTRA_CA_CERTS"}


def test_what_the_user_named(certificate: Path, directory: Path, company: Path) -> None:
    variables = {"NODE_EXTRA_CA_CERTS": str(company), "SSL_CERT_FILE": "/nowhere.pem"}
    assert given(variables, directory) == {"NODE_EXTRA_CA_CERTS": str(company)}
    assert given(write(variables, certificate, directory), directory) == {"NODE_EXTRA_CA_CERTS": str(company)}


def test_a_failure_leaves_no_part_behind(certificate: Path, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write({}, certificate, directory)
    assert list(directory.iterdir()) == []


@hypothesis_given(st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1))
def test_the_name_of_a_source_does_no_harm(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    root = tmp_path_factory.mktemp("any")
    source, ours = root / "company.pem", root / "ours.pem"
    ours.write_text(pem("ours"))
    try:
        (root / name).write_text(pem("company"))
        source = root / name
    except OSError:  # a name that is too long, or means a folder
        source.write_text(pem("company"))
    first = write({"NODE_EXTRA_CA_CERTS": str(source)}, ours, root / "trust")
    refresh(ours, root / "trust")
    assert held(first["NODE_EXTRA_CA_CERTS"]) == ["company", "ours"]

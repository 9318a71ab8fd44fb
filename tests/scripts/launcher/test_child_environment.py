from __future__ import annotations

import json
from pathlib import Path

import pytest

from launcher import trust
from launcher.child_environment import (
    proxy_variables,
    refuse_managed,
    with_overriding_settings,
    write_trust_files,
)
from launcher.client_settings import ClientSettings
from launcher.errors import LauncherError
from launcher.no_proxy import NoProxy
from tests.scripts.launcher.certificates import pem

NOTHING_DROPPED = NoProxy("localhost", ())


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "session").mkdir()
    return tmp_path / "session"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    file = tmp_path / "theirs.pem"
    file.write_text(pem("theirs"))
    return file


def settings(variables: dict[str, str], *, origin: str = "s.json", managed: bool = False) -> ClientSettings:
    return ClientSettings(variables, dict.fromkeys(variables, origin), frozenset(variables if managed else ()))


# Trust


def test_node_gets_ours_alone_where_there_was_nothing(certificate: Path, directory: Path) -> None:
    files = write_trust_files({}, certificate, directory)
    assert files.variables["NODE_EXTRA_CA_CERTS"] == str(certificate)


def test_node_keeps_what_it_had(certificate: Path, directory: Path, bundle: Path) -> None:
    files = write_trust_files({"NODE_EXTRA_CA_CERTS": str(bundle)}, certificate, directory)
    both = Path(files.variables["NODE_EXTRA_CA_CERTS"]).read_text()
    assert "theirs" in both
    assert "ours" in both
    assert bundle.read_text() == pem("theirs")
    assert "theirs" in files.upstream.read_text()


def test_a_bundle_that_has_ours_already_stays(certificate: Path, directory: Path, bundle: Path) -> None:
    bundle.write_text(pem("theirs") + certificate.read_text())
    files = write_trust_files({"NODE_EXTRA_CA_CERTS": str(bundle)}, certificate, directory)
    assert files.variables["NODE_EXTRA_CA_CERTS"] == str(bundle)


def test_a_named_file_that_is_not_there_is_as_none(certificate: Path, directory: Path, tmp_path: Path) -> None:
    missing = {"NODE_EXTRA_CA_CERTS": str(tmp_path / "missing"), "CURL_CA_BUNDLE": str(tmp_path / "missing")}
    files = write_trust_files(missing, certificate, directory)
    assert files.variables["NODE_EXTRA_CA_CERTS"] == str(certificate)
    assert "CURL_CA_BUNDLE" not in files.variables


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_what_replaces_trust_keeps_what_was_there(name: str, certificate: Path, directory: Path, bundle: Path) -> None:
    files = write_trust_files({name: str(bundle)}, certificate, directory)
    both = Path(files.variables[name]).read_text()
    assert "theirs" in both
    assert "ours" in both


def test_the_systems_authorities_stay(
    certificate: Path, directory: Path, monkeypatch: pytest.MonkeyPatch, bundle: Path
) -> None:
    monkeypatch.setattr(trust, "system", lambda _: bundle.read_bytes())
    files = write_trust_files({}, certificate, directory)
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        assert Path(files.variables[name]).read_text().count("BEGIN CERTIFICATE") == 2
    assert "CURL_CA_BUNDLE" not in files.variables
    assert "ours" not in files.upstream.read_text()


def test_without_a_system_bundle_nothing_is_replaced(
    certificate: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "system", lambda _: None)
    assert set(write_trust_files({}, certificate, directory).variables) == {"NODE_EXTRA_CA_CERTS"}


# Proxy


def test_both_spellings() -> None:
    variables = proxy_variables("http://127.0.0.1:5", NoProxy("a,b", ()))
    assert variables["HTTPS_PROXY"] == variables["https_proxy"] == "http://127.0.0.1:5"
    assert variables["NO_PROXY"] == variables["no_proxy"] == "a,b"


# Settings files that would override ours


OURS = {"HTTPS_PROXY": "ours", "NO_PROXY": "ours"}


def test_arguments_stay_as_they_are(directory: Path) -> None:
    arguments = ["-p", "--settings", "x.json"]
    assert with_overriding_settings(arguments, settings({"OTHER": "1"}), OURS, directory) == arguments
    assert list(directory.iterdir()) == []


def test_only_what_a_file_sets_is_overridden(directory: Path) -> None:
    argv = with_overriding_settings(["-p", "hi"], settings({"HTTPS_PROXY": "corp"}), OURS, directory)
    assert argv == ["--settings", str(directory / "settings.json"), "-p", "hi"]
    assert json.loads((directory / "settings.json").read_text()) == {"env": {"HTTPS_PROXY": "ours"}}


def test_the_users_own_settings_argument_is_kept(directory: Path) -> None:
    given = '{"model": "m", "env": {"A": "1", "HTTPS_PROXY": "corp"}}'
    found = settings({"HTTPS_PROXY": "corp"}, origin="--settings")
    for arguments in (["-p", "--settings", given, "hi"], ["-p", f"--settings={given}", "hi"]):
        argv = with_overriding_settings(arguments, found, OURS, directory)
        assert argv == ["--settings", str(directory / "settings.json"), "-p", "hi"]
        merged = json.loads((directory / "settings.json").read_text())
        assert merged == {"model": "m", "env": {"A": "1", "HTTPS_PROXY": "ours"}}


def test_what_follows_two_dashes_is_no_option(directory: Path) -> None:
    arguments = ["--", "--settings", "x"]
    argv = with_overriding_settings(arguments, settings({"NO_PROXY": "x"}), OURS, directory)
    assert argv[2:] == arguments


# Managed settings, which nothing overrides


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_a_managed_proxy_is_refused(name: str, certificate: Path) -> None:
    with pytest.raises(LauncherError, match=f"s.json sets {name}"):
        refuse_managed(settings({name: "x"}, managed=True), NOTHING_DROPPED, certificate)


def test_a_managed_no_proxy_is_refused_if_it_matters(certificate: Path) -> None:
    managed = settings({"NO_PROXY": "azure.com"}, managed=True)
    with pytest.raises(LauncherError, match=r"NO_PROXY with azure.com"):
        refuse_managed(managed, NoProxy("", ("azure.com",)), certificate)
    refuse_managed(managed, NOTHING_DROPPED, certificate)


def test_managed_authorities_must_include_ours(certificate: Path, bundle: Path) -> None:
    managed = settings({"NODE_EXTRA_CA_CERTS": str(bundle)}, managed=True)
    with pytest.raises(LauncherError, match=f"add {certificate} to {bundle}"):
        refuse_managed(managed, NOTHING_DROPPED, certificate)
    bundle.write_text(pem("theirs") + pem("ours"))
    refuse_managed(managed, NOTHING_DROPPED, certificate)


def test_unmanaged_settings_are_not_refused(certificate: Path) -> None:
    refuse_managed(settings({"HTTPS_PROXY": "x", "NODE_EXTRA_CA_CERTS": "y"}), NOTHING_DROPPED, certificate)

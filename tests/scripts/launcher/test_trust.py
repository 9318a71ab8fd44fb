from __future__ import annotations

from pathlib import Path

import pytest

from launcher import trust

PEM = b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"


def test_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(PEM)
    (tmp_path / "empty").write_bytes(b"")
    assert trust.read(tmp_path / "a") == PEM
    assert trust.read(tmp_path / "empty") is None
    assert trust.read(tmp_path / "missing") is None
    assert trust.read(tmp_path) is None
    assert trust.read(None) is None
    assert trust.read("") is None


def test_the_users_choice_comes_first(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(PEM)
    assert trust.system({"SSL_CERT_FILE": str(tmp_path / "a")}) == PEM


def test_no_bundle_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "read", lambda _: None)
    monkeypatch.setattr("sys.platform", "linux")
    assert trust.system({}) is None


def test_macos_keychains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr(trust, "_keychains", lambda: PEM)
    assert trust.system({}) == PEM


def test_parts_stay_apart(tmp_path: Path) -> None:
    bundle = trust.write_bundle(tmp_path / "b", [PEM, None, PEM]).read_bytes()
    assert bundle.split(b"\n").count(b"-----BEGIN CERTIFICATE-----") == 2

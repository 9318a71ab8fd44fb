from __future__ import annotations

from pathlib import Path

import pytest

from connecting.certificate_authority import inspect
from make_ca_body import main


def test_makes_it_and_then_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--directory", str(tmp_path), "gateway.example.com"]) == 0
    first = capsys.readouterr()
    assert f"certificate  {tmp_path / 'mitmproxy-ca-cert.pem'}  (made just now)" in first.out
    assert "gateway.example.com" in first.out
    assert main(["--directory", str(tmp_path)]) == 0
    second = capsys.readouterr()
    assert second.out == first.out.replace("  (made just now)", "")
    assert second.err == ""


def test_new(tmp_path: Path) -> None:
    main(["--directory", str(tmp_path), "gateway.example.com"])
    key = (tmp_path / "mitmproxy-ca.pem").read_bytes()
    main(["--directory", str(tmp_path), "--new"])
    authority = inspect(tmp_path)
    assert authority
    assert "gateway.example.com" not in authority.permitted
    assert (tmp_path / "mitmproxy-ca.pem").read_bytes() != key


def test_what_goes_wrong_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--directory", str(tmp_path), "10.0.0.1"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith("make_ca: 10.0.0.1 is an IP address")


def test_notices_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--directory", str(tmp_path)])
    (tmp_path / "mitmproxy-ca.pem").chmod(0o644)
    capsys.readouterr()
    main(["--directory", str(tmp_path)])
    assert "chmod 600" in capsys.readouterr().err

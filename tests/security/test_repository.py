"""No key is in the repository, and none that is made on a machine gets there by accident."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from connecting.certificate_authority import ensure

PROJECT = Path(__file__).resolve().parents[2]
BEGINNING = b"-----BEGIN "  # in two parts, or this file would be one that holds a key
KEYS = tuple(BEGINNING + kind + b"PRIVATE KEY-----\n" for kind in (b"", b"RSA ", b"EC ", b"ENCRYPTED ", b"OPENSSH "))


def git(folder: Path, *arguments: str) -> list[str]:
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    argv = ["git", "-C", str(folder), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()


def test_what_is_made_in_certs_is_never_committed(tmp_path: Path) -> None:
    shutil.copy(PROJECT / ".gitignore", tmp_path)
    git(tmp_path, "init", "--quiet")
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / "README.md").touch()
    ensure(tmp_path / "certs")
    (tmp_path / "certs" / "mitmproxy-dhparam.pem").touch()
    git(tmp_path, "add", "--all")
    assert git(tmp_path, "ls-files") == [".gitignore", "certs/README.md"]


def test_secrets_beside_the_compose_file_are_never_committed(tmp_path: Path) -> None:
    shutil.copy(PROJECT / ".gitignore", tmp_path)
    git(tmp_path, "init", "--quiet")
    shutil.copytree(PROJECT / "deploy", tmp_path / "deploy")
    for name in ("proxy_users", "upstream_auth", "state_url", "redis.yaml", ".env"):
        (tmp_path / "deploy" / name).touch()
    git(tmp_path, "add", "--all")
    assert git(tmp_path, "ls-files") == [".gitignore", "deploy/Dockerfile", "deploy/compose.yaml"]


def test_no_file_of_the_project_holds_a_key() -> None:
    if not (PROJECT / ".git").exists():
        pytest.skip("this is no checkout, so nothing says which files are the project's")
    files = [PROJECT / name for name in git(PROJECT, "ls-files")]
    assert len(files) > 100
    assert [file for file in files if file.is_file() and any(key in file.read_bytes() for key in KEYS)] == []

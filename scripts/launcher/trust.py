"""Bundles of certificate authorities: those that were trusted before, and one more."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import certifi

__all__ = ["read", "system", "write_bundle"]

# Where OpenSSL was built to look comes first; these are the places of the common distributions.
_SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_KEYCHAINS = ("/System/Library/Keychains/SystemRootCertificates.keychain", "/Library/Keychains/System.keychain")
_MARK = b"-----BEGIN CERTIFICATE-----"


def read(file: str | Path | None) -> bytes | None:
    """The PEM bundle in `file`; None if there is none: programs go on without it, and so do we."""
    try:
        content = Path(file).read_bytes() if file else b""
    except OSError:
        return None
    return content if _MARK in content else None


def system(variables: Mapping[str, str]) -> bytes | None:
    """What programs on this machine trust: SSL_CERT_FILE where the user set it, else the system's own bundle."""
    if named := read(variables.get("SSL_CERT_FILE")):
        return named
    if sys.platform == "darwin" and (keychains := _keychains()):
        return keychains
    built_in = ssl.get_default_verify_paths().openssl_cafile
    return next((bundle for file in (built_in, *_SYSTEM_BUNDLES) if (bundle := read(file))), None)


def _keychains() -> bytes | None:
    """What macOS trusts lies in keychains, and what a company adds lies there only."""
    argv = ["/usr/bin/security", "find-certificate", "-a", "-p", *_KEYCHAINS]
    try:
        done = subprocess.run(argv, capture_output=True, timeout=20, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 and _MARK in done.stdout else None


def mozilla() -> bytes:
    """The authorities that ship with the environment, as every client that brings its own has them."""
    return Path(certifi.where()).read_bytes()


def write_bundle(file: Path, parts: Iterable[bytes | None]) -> Path:
    """Write the `parts` that there are into `file`."""
    file.write_bytes(b"\n".join(part for part in parts if part))
    return file

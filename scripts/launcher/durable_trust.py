"""The bundles of certificates for clients of a proxy that runs on its own: they stay where they are.

A session's bundles go with the session. These lie in the state folder, because a settings file, a shell profile or a
container names them. Each says in its first line where what comes before our authority was read from, so that it can
be written anew from there: by the proxy at each start, and by whoever asks again with the bundle itself in the
variable. Asking twice changes nothing, and an authority that was replaced is not trusted any longer.

Everybody may read them: a certificate is no secret, and a container's user is another one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from launcher import trust
from whole_file import write_whole

__all__ = ["folder", "given", "refresh", "write"]

_FROM = b"# Foundry Compress: certificates of "
_OURS = b"# Foundry Compress: its own authority\n"
_SYSTEM = "the system"
_FILES = {
    "NODE_EXTRA_CA_CERTS": "node-extra-ca.pem",
    "SSL_CERT_FILE": "ca-bundle.pem",
    "REQUESTS_CA_BUNDLE": "requests-ca-bundle.pem",
    "CURL_CA_BUNDLE": "curl-ca-bundle.pem",
}


@dataclass(frozen=True, slots=True)
class _Part:
    """What a bundle holds besides our authority."""

    source: str
    """A file, or the system; empty if there is nothing."""
    content: bytes


_NOTHING = _Part("", b"")


def folder(state_dir: Path) -> Path:
    """Where the bundles lie."""
    return state_dir / "trust"


def write(variables: Mapping[str, str], certificate: Path, directory: Path) -> dict[str, str]:
    """Write bundles into `directory` that hold all that is trusted in this environment so far, and `certificate`.

    Returns the variables that name them. Each replaces what a program trusts, so where that cannot be found out it is
    left alone. Raises OSError if a file cannot be read or written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o755)
    ours = certificate.read_bytes()
    parts = {name: _part(variables.get(name), directory, ours) for name in _FILES}
    system = parts["SSL_CERT_FILE"]
    if not system.content:
        system = _Part(_SYSTEM, trust.system({}) or b"")
    result = {"NODE_EXTRA_CA_CERTS": _bundle(directory, "NODE_EXTRA_CA_CERTS", parts["NODE_EXTRA_CA_CERTS"], ours)}
    if system.content:
        result["SSL_CERT_FILE"] = _bundle(directory, "SSL_CERT_FILE", system, ours)
        result["REQUESTS_CA_BUNDLE"] = result["SSL_CERT_FILE"]
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if parts[name].content and parts[name].source != _SYSTEM:
            result[name] = _bundle(directory, name, parts[name], ours)
    return result


def refresh(certificate: Path, directory: Path) -> None:
    """Write the bundles that are there anew, with what their sources hold by now, and with `certificate`."""
    if directory.is_dir():
        write({name: str(directory / file) for name, file in _FILES.items()}, certificate, directory)


def given(variables: Mapping[str, str], directory: Path) -> dict[str, str]:
    """The bundles that the user named: a variable that names one of ours stands for the file that it was made from."""
    found = {}
    for name in _FILES:
        named = variables.get(name, "")
        if trust.read(named):
            source = _part(named, directory, b"").source
            if source and source != _SYSTEM:
                found[name] = source
    return found


def _part(named: str | None, directory: Path, ours: bytes) -> _Part:
    """What the file `named` holds, without what an earlier call wrote there."""
    content = trust.read(named)
    if named is None or content is None or content.strip() == ours.strip():
        return _NOTHING
    if not content.startswith(_FROM) or Path(named).absolute().parent != directory.absolute():
        return _Part(str(Path(named).absolute()), content)
    heading, _, rest = content.partition(b"\n")
    source = os.fsdecode(heading.removeprefix(_FROM))
    kept = rest.partition(_OURS)[0].removesuffix(b"\n")
    if source == _SYSTEM:
        return _Part(_SYSTEM, trust.system({}) or kept)
    return _Part(source, trust.read(source) or kept) if source else _NOTHING


def _bundle(directory: Path, name: str, part: _Part, ours: bytes) -> str:
    file = directory / _FILES[name]
    source = " ".join(part.source.splitlines())
    write_whole(file, _FROM + os.fsencode(source) + b"\n" + part.content + b"\n" + _OURS + ours)
    return str(file)

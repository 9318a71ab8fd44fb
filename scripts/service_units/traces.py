"""What a service leaves that outlives it on purpose, and how it goes when the user wants it gone."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from connecting import certificate_authority
from launcher import durable_trust
from service_units import next_hop
from service_units.description import Service

__all__ = ["DATABASES", "kept", "purge", "remove_own"]

DATABASES = ("ledger.sqlite3", "conversations.sqlite3")
"""What the addon calls them; its modules would load all of mitmproxy for these two names."""

# mitmproxy writes the same authority in further forms beside it.
_AUTHORITY_FILES = "mitmproxy-*"
_SQLITE = ("", "-wal", "-shm", "-journal")


def kept(service: Service) -> list[tuple[str, Path]]:
    """What is there and stays unless it is purged: what it is, in a few words, and where."""
    found = [
        ("the ledger and what is remembered of conversations", service.state_dir, any(_state_files(service))),
        ("bundles of certificates for clients", durable_trust.folder(service.state_dir), _bundles(service).is_dir()),
        ("the certificate authority", service.confdir, any(_authority_files(service))),
    ]
    return [(what, where) for what, where, is_there in found if is_there]


def purge(service: Service) -> None:
    """Take it all away, and nothing that is not ours. Raises OSError."""
    shutil.rmtree(_bundles(service), ignore_errors=True)
    for file in [*_state_files(service), *_authority_files(service)]:
        file.unlink(missing_ok=True)
    for folder in (service.state_dir, service.confdir):
        _remove_if_empty(folder)


def remove_own(service: Service) -> None:
    """Take away what is there for the service alone. Raises OSError."""
    shutil.rmtree(next_hop.own_dir(service.environment), ignore_errors=True)
    _remove_if_empty(service.state_dir)


def _bundles(service: Service) -> Path:
    return durable_trust.folder(service.state_dir)


def _state_files(service: Service) -> Iterator[Path]:
    for name in DATABASES:
        for suffix in _SQLITE:
            file = service.state_dir / f"{name}{suffix}"
            if file.exists():
                yield file


def _authority_files(service: Service) -> Iterator[Path]:
    """None if the authority there is not one that we made: others may trust it."""
    authority = None
    with contextlib.suppress(certificate_authority.AuthorityError):
        authority = certificate_authority.inspect(service.confdir)
    if authority and authority.constrained:
        yield from service.confdir.glob(_AUTHORITY_FILES)


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # what is in there is not ours
        folder.rmdir()

"""The certificate authority that this machine makes for itself, and that can vouch for Foundry only.

Name constraints stand in the certificate that clients are told to trust: whoever steals the key can imitate the
Foundry domains and the hosts that were named (gateways, and the hosts of other providers), and nothing else.
certs/README.md says what that means for a user.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import os
import re
import secrets
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from host_rules import FOUNDRY_DOMAINS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

__all__ = ["AUTHORITY_FILE", "CERTIFICATE_FILE", "Authority", "AuthorityError", "create", "ensure", "inspect"]

AUTHORITY_FILE = "mitmproxy-ca.pem"  # key and certificate; the names are mitmproxy's
CERTIFICATE_FILE = "mitmproxy-ca-cert.pem"  # the certificate alone: what clients trust

ORGANISATION = "Foundry Compress"  # how we recognise our own
VALIDITY = dt.timedelta(days=395)
RENEW_WITHIN = dt.timedelta(days=30)  # so it serves a year, and no session sees it expire
BACKDATED = dt.timedelta(days=2)  # as mitmproxy does for its leaf certificates: clocks differ

_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*")


class AuthorityError(Exception):
    """There is no usable authority. The message is one line and says what to do about it."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority as it lies in a directory."""

    certificate_path: Path
    """PEM file without the key: the value for NODE_EXTRA_CA_CERTS."""
    constrained: bool
    """True if it can vouch for `permitted` only; False for one that can vouch for every host there is."""
    permitted: tuple[str, ...]
    """The DNS names, each with its subdomains, that it may vouch for; empty if not constrained."""
    expires: dt.datetime
    """Aware, in UTC."""
    created: bool = False
    """This call wrote it: for the first time, or again."""
    notice: str = ""
    """One line for the user, or nothing."""


def inspect(directory: Path) -> Authority | None:
    """Return the authority in `directory`, or None if there is none. Writes nothing.

    Raises AuthorityError if it cannot be read or is damaged.
    """
    held = _read(directory)
    return None if held is None else held.authority


def ensure(directory: Path, extra_hosts: Sequence[str] = ()) -> Authority:
    """Return the authority in `directory`, made or renewed so that it serves Foundry and `extra_hosts`.

    `extra_hosts` are `host_rules.Scope.names`. Where there is no authority it is made. Ours is issued again with the
    same key if it does not permit one of the hosts (all that it permitted before stays permitted, so two projects with
    different gateways do not take turns), and replaced when it expires within 30 days. One that is not ours is left
    alone: `constrained` and `notice` tell about it.

    Raises AuthorityError if that is not possible, or if an extra host is not a name: IP addresses are excluded.
    """
    wanted = _wanted(extra_hosts)
    held = _read(directory)
    if held is None or _stale(held, wanted):
        with _locked(directory):
            held = _read(directory)  # somebody else may have been quicker
            if held is None:
                return _issue(directory, wanted, ec.generate_private_key(ec.SECP256R1()))
            if held.ours and _near_expiry(held.authority):
                made = _issue(directory, wanted, ec.generate_private_key(ec.SECP256R1()))
                return replace(
                    made, notice=f"The certificate authority in {directory} was near its expiry and was made anew."
                )
            if held.ours and _refused(held.authority, wanted):
                hosts = (*wanted, *(name for name in held.authority.permitted if name not in wanted))
                return _issue(directory, hosts, held.key)
    if held.ours:
        _write_certificate_if_different(directory, held)
    return replace(held.authority, notice=_notice(directory, held, wanted))


def create(directory: Path, extra_hosts: Sequence[str] = ()) -> Authority:
    """Make the authority anew, with a new key, for Foundry and `extra_hosts` only. Raises AuthorityError."""
    wanted = _wanted(extra_hosts)
    with _locked(directory):
        return _issue(directory, wanted, ec.generate_private_key(ec.SECP256R1()))


@dataclass(frozen=True, slots=True)
class _Held:
    authority: Authority
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey | None  # None: not ours to sign with

    @property
    def ours(self) -> bool:
        return self.key is not None


def _wanted(extra_hosts: Iterable[str]) -> tuple[str, ...]:
    hosts = [*FOUNDRY_DOMAINS]
    for extra in extra_hosts:
        host = extra.strip().lower().removeprefix("*.").rstrip(".")
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(host.strip("[]"))
            raise AuthorityError(
                f"{host} is an IP address, and the certificate authority vouches for names only: use the host's name "
                "(a line in /etc/hosts gives it one)."
            )
        if not _HOST_NAME.fullmatch(host):
            raise AuthorityError(f"{extra!r} is not a host name: give a name such as gateway.example.com.")
        if not _permits(hosts, host):
            hosts.append(host)
    return tuple(hosts)


def _permits(permitted: Iterable[str], host: str) -> bool:
    return any(host == name or host.endswith("." + name) for name in permitted)


def _refused(authority: Authority, wanted: Iterable[str]) -> list[str]:
    if not authority.constrained:
        return []
    return [host for host in wanted if not _permits(authority.permitted, host)]


def _near_expiry(authority: Authority) -> bool:
    return authority.expires - dt.datetime.now(dt.UTC) < RENEW_WITHIN


def _stale(held: _Held, wanted: Iterable[str]) -> bool:
    return held.ours and (_near_expiry(held.authority) or bool(_refused(held.authority, wanted)))


def _notice(directory: Path, held: _Held, wanted: Iterable[str]) -> str:
    file = directory / AUTHORITY_FILE
    if held.authority.expires < dt.datetime.now(dt.UTC):
        return f"The certificate authority {file} has expired: delete it, and a new one is made."
    if refused := _refused(held.authority, wanted):
        return f"The certificate authority {file} does not permit {refused[0]}: delete it, and one that does is made."
    if held.ours and file.stat().st_mode & 0o077:
        return f"Others on this machine can read the key of the certificate authority: chmod 600 {file}"
    return ""


# Reading


def _read(directory: Path) -> _Held | None:
    file = directory / AUTHORITY_FILE
    try:
        pem = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AuthorityError(
            f"The certificate authority {file} cannot be read ({error.strerror}): {_permission_remedy(file)}"
        ) from None
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        key = serialization.load_pem_private_key(pem, None)
        if key.public_key() != certificate.public_key():
            raise ValueError("key and certificate differ")  # noqa: TRY301 (one place says what a damaged file means)
        permitted = _permitted(certificate)
    except (ValueError, TypeError, x509.DuplicateExtension):
        raise AuthorityError(
            f"The certificate authority {file} is damaged: delete it, and a new one is made."
        ) from None
    authority = Authority(
        certificate_path=directory / CERTIFICATE_FILE,
        constrained=bool(permitted),
        permitted=permitted,
        expires=certificate.not_valid_after_utc,
    )
    organisations = [name.value for name in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    if organisations == [ORGANISATION] and isinstance(key, ec.EllipticCurvePrivateKey):
        return _Held(authority, certificate, key)
    return _Held(authority, certificate, None)


def _permitted(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(name.value for name in constraints.permitted_subtrees or () if isinstance(name, x509.DNSName))


# Writing


def _subject(key_mark: str) -> x509.Name:
    # The mark keeps two authorities apart in a bundle: clients look an issuer up by its name.
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Foundry Compress on this machine {key_mark}".rstrip()),
        ]
    )


def _certificate(key: ec.EllipticCurvePrivateKey, hosts: Iterable[str]) -> x509.Certificate:
    key_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    name = _subject(key_id.digest.hex()[:8])
    now = dt.datetime.now(dt.UTC)
    may_sign_only = x509.KeyUsage(
        key_cert_sign=True,
        crl_sign=True,
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    every_ip_address = [
        x509.IPAddress(ipaddress.ip_network("0.0.0.0/0")),
        x509.IPAddress(ipaddress.ip_network("::/0")),
    ]
    # Mail addresses and the like are not constrained by name, because some clients refuse constraints on kinds of
    # names that they do not know; that the authority serves TLS servers only (the extended key usage) excludes them.
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + VALIDITY)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(may_sign_only, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.NameConstraints([x509.DNSName(host) for host in hosts], every_ip_address), critical=True)
        .add_extension(key_id, critical=False)
        .sign(key, hashes.SHA256())
    )


def _issue(directory: Path, hosts: tuple[str, ...], key: ec.EllipticCurvePrivateKey | None) -> Authority:
    assert key is not None  # noqa: S101 (only ours are issued again)
    certificate = _certificate(key, hosts)
    certificate_pem = certificate.public_bytes(serialization.Encoding.PEM)
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _replace(directory / AUTHORITY_FILE, key_pem + certificate_pem, 0o600)
    _replace(directory / CERTIFICATE_FILE, certificate_pem, 0o644)
    return Authority(
        certificate_path=directory / CERTIFICATE_FILE,
        constrained=True,
        permitted=hosts,
        expires=certificate.not_valid_after_utc,
        created=True,
    )


def _write_certificate_if_different(directory: Path, held: _Held) -> None:
    """Mend what a crash between the two writes of `_issue`, or a hand, left behind."""
    pem = held.certificate.public_bytes(serialization.Encoding.PEM)
    file = held.authority.certificate_path
    try:
        if file.read_bytes() == pem:
            return
    except FileNotFoundError:
        pass
    except OSError as error:
        raise AuthorityError(f"{file} cannot be read ({error.strerror}): {_permission_remedy(file)}") from None
    with _locked(directory):
        _replace(file, pem, 0o644)


def _replace(file: Path, content: bytes, mode: int) -> None:
    """Put `content` at `file` in one step; it never exists with a wider mode, nor half written."""
    fresh = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(content)
                opened.flush()
                os.fsync(opened.fileno())
            fresh.replace(file)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise AuthorityError(f"{file} cannot be written ({error.strerror}): {_permission_remedy(file)}") from None


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Make `directory` if need be and let one process at a time write in it."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sys.platform == "win32":  # no flock there; at worst a second authority is made in the same instant
            yield
            return
        import fcntl  # noqa: PLC0415 (not on Windows)

        descriptor = os.open(directory, os.O_RDONLY)
    except OSError as error:
        raise AuthorityError(
            f"{directory} cannot be used ({error.strerror}): {_permission_remedy(directory)}"
        ) from None
    try:
        with contextlib.suppress(OSError):  # some network file systems cannot lock: as on Windows then
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _permission_remedy(path: Path) -> str:
    other = "or give another directory (mitmproxy's option confdir; FOUNDRY_COMPRESS_CONFDIR for claude-foundry)"
    return f"make {path.parent} yours to read and write, {other}."

"""The certificate authority: there, in date, for Foundry only, and its key private."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cryptography import x509

import host_rules
import provider_hosts
from connecting import certificate_authority
from connecting.certificate_authority import AUTHORITY_FILE, Authority, AuthorityError
from doctor_checks.finding import Finding, failed, ok, warning

__all__ = ["check"]

SOON = dt.timedelta(days=30)  # when the next start replaces it
RESTART = "then restart the proxy and the client"
_SHOWN = 5  # hosts beside Foundry's


def check(
    directory: Path, extra_hosts: Sequence[str], now: dt.datetime, providers: Sequence[str] = ()
) -> Iterator[Finding]:
    """The findings for the authority in `directory`, which should serve Foundry, `extra_hosts` and `providers`.

    `providers` are what `provider_hosts.named_provider` returns.
    """
    name = "authority"
    try:
        authority = certificate_authority.inspect(directory)
    except AuthorityError as error:
        detail, _, remedy = str(error).partition(": ")
        yield failed(name, detail, remedy)
        return
    if authority is None:
        yield failed(name, f"there is none in {directory}", f"start {_make_ca(directory)}, which makes it")
        return
    certificates = [_certificate(directory / AUTHORITY_FILE), _certificate(authority.certificate_path)]
    if certificates[0] != certificates[1]:
        detail = f"{authority.certificate_path}, which clients trust, is not the certificate in {AUTHORITY_FILE}"
        yield failed(name, detail, f"start {_make_ca(directory)}, which mends it")
    else:
        yield ok(name, str(authority.certificate_path))
    since = certificates[0].not_valid_before_utc if certificates[0] else None
    yield judge_dates(authority, since, directory, now)
    yield judge_scope(authority, (*host_rules.FOUNDRY_DOMAINS, *extra_hosts), directory)
    yield from judge_providers(authority, providers)
    yield judge_key(directory / AUTHORITY_FILE)


def judge_dates(authority: Authority, since: dt.datetime | None, directory: Path, now: dt.datetime) -> Finding:
    """Whether it is valid at `now`; `since` is None if that is not known."""
    name = "authority: dates"
    until = f"until {authority.expires:%Y-%m-%d}"
    anew = f"start {_make_ca(directory)} --new, {RESTART}"
    if authority.expires <= now:
        return failed(name, f"has expired ({until})", anew)
    if since and since > now:
        return failed(name, f"is not valid before {since:%Y-%m-%d}", f"set this machine's clock right, or {anew}")
    if authority.expires - now < SOON:
        return warning(name, f"{until}: it is made anew at the next start", RESTART)
    return ok(name, until)


def judge_scope(authority: Authority, wanted: Iterable[str], directory: Path) -> Finding:
    """Whether it can vouch for every host in `wanted`, and for nothing that nobody asked for."""
    name = "authority: scope"
    if not authority.constrained:
        return failed(
            name,
            "can vouch for every host there is: whoever gets its key can imitate any of them",
            f"start {_make_ca(directory)} --new, {RESTART}",
        )
    refused = [host for host in wanted if not _permits(authority.permitted, host)]
    if refused:
        return failed(
            name,
            f"does not permit {', '.join(refused)}",
            f"start {_make_ca(directory, refused)}, {RESTART}",
        )
    further = [host for host in authority.permitted if host not in host_rules.FOUNDRY_DOMAINS]
    shown = further if len(further) <= _SHOWN else [*further[:_SHOWN], f"{len(further) - _SHOWN} more"]
    return ok(name, f"Foundry's hosts{''.join(f', {host}' for host in shown)} and no others")


def judge_providers(authority: Authority, providers: Iterable[str]) -> Iterator[Finding]:
    """Whether it can vouch for the hosts of all `providers`, which whatever treats them sees to when it starts."""
    lacking = [
        named
        for named in providers
        if authority.constrained
        and not all(_permits(authority.permitted, host) for host in provider_hosts.hosts(named))
    ]
    if lacking:
        yield warning(
            "authority: providers",
            f"does not permit the hosts of {', '.join(lacking)}: they are added when claude-foundry starts, or a proxy "
            f"with foundry_providers={','.join(lacking)}",
            "start it so, and then the client anew",
        )


def judge_key(file: Path) -> Finding:
    """Whether only its owner can read the private key in `file`."""
    name = "authority: key"
    if file.stat().st_mode & 0o077:
        return failed(name, f"others on this machine can read {file}", f"chmod 600 {file}")
    return ok(name, "only its owner can read it")


def _permits(permitted: Iterable[str], host: str) -> bool:
    return any(host == name or host.endswith("." + name) for name in permitted)


def _certificate(file: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError):
        return None


def _make_ca(directory: Path, hosts: Iterable[str] = ()) -> str:
    own = directory.name == "certs" and (directory.parent / "scripts" / "make_ca").exists()
    where = "" if own else f" --directory {directory}"
    return f"scripts/make_ca{where}{''.join(f' {host}' for host in hosts)}"

"""Claude Code's own settings: where it sends its requests, and what would lead them past the proxy."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlsplit

import host_rules
import provider_hosts
from doctor_checks.finding import Finding, failed, ok, skipped, warning
from doctor_checks.proxy import Kind, Look
from doctor_checks.request import Target
from launcher import child_environment, foundry_target, no_proxy, trust
from launcher.client_settings import ClientSettings
from launcher.errors import LauncherError

__all__ = ["check", "extra_hosts", "named_providers", "target"]

USE_FOUNDRY = "CLAUDE_CODE_USE_FOUNDRY"
RESOURCE = "ANTHROPIC_FOUNDRY_RESOURCE"
BASE_URL = "ANTHROPIC_FOUNDRY_BASE_URL"
PLAIN_BASE_URL = "ANTHROPIC_BASE_URL"
TRUSTED = "NODE_EXTRA_CA_CERTS"
EXTRA_HOSTS = "FOUNDRY_COMPRESS_EXTRA_HOSTS"
PROVIDERS = "FOUNDRY_COMPRESS_PROVIDERS"
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
_USER = re.compile(r"(?<=//)[^\s'\"]*@|[^\s'\"/]+@")


def target(settings: ClientSettings) -> Target | None:
    """Where Claude Code would send its requests; None if it is not set up."""
    found = _find(settings)
    if isinstance(found, str) or not host_rules.named_host(found.host):
        return None
    base_url = settings.variables.get(BASE_URL, "").strip()
    if not base_url:
        return Target(found.host)
    try:
        parts = urlsplit(base_url)
        port = parts.port or (80 if found.is_plain else 443)
    except ValueError:
        return None
    path = quote(f"{parts.path.rstrip('/')}/v1/messages", safe="/%:@!$&'()*+,;=~")
    return Target(found.host, port, path, is_gateway=found.is_gateway, is_plain=found.is_plain)


def extra_hosts(environment: Mapping[str, str], settings: ClientSettings) -> tuple[list[str], list[str]]:
    """The hosts that stand for Foundry beside its own, as claude-foundry takes them; and what is none."""
    hosts, wrong = named_hosts(environment)
    found = _find(settings)
    if not isinstance(found, str) and found.is_gateway and host_rules.named_host(found.host):
        hosts.append(found.host)
    return list(dict.fromkeys(hosts)), wrong


def named_hosts(environment: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """The hosts that `EXTRA_HOSTS` names; and what is none."""
    return _named(environment, EXTRA_HOSTS, host_rules.named_host)


def named_providers(environment: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """What `PROVIDERS` names, as `provider_hosts.named_provider` returns it; and what is none."""
    return _named(environment, PROVIDERS, provider_hosts.named_provider)


def _named(
    environment: Mapping[str, str], variable: str, named: Callable[[str], str | None]
) -> tuple[list[str], list[str]]:
    """What `variable` lists, as `named` has it; and what that is nothing for."""
    given = [(item, named(item)) for item in re.split(r"[,\s]+", environment.get(variable, "")) if item]
    return [name for _, name in given if name], [item for item, name in given if not name]


def check(
    settings: ClientSettings,
    environment: Mapping[str, str],
    proxy: Look,
    certificate: Path | None,
    company_hosts: Collection[str] = (),
) -> Iterator[Finding]:
    """The findings, in view of what was seen of the `proxy`.

    `certificate` is the authority's, `company_hosts` are what the administrator's file adds to Foundry's own.
    """
    yield judge_use(settings)
    yield judge_resource(settings)
    named, wrong = named_hosts(environment)
    if wrong:
        names = ", ".join(_USER.sub("", item) for item in wrong)
        detail = f"{names} is not possible; allowed are {host_rules.NAMED_HOSTS}"
        yield failed("extra hosts", f"{EXTRA_HOSTS}: {detail}", f"correct or unset {EXTRA_HOSTS}")
    yield from judge_providers(environment)
    yield from judge_gateway(settings, {*named, *company_hosts}, proxy)
    if settings.variables.get(PLAIN_BASE_URL, "").strip() and _is_on(settings):
        detail = f"{PLAIN_BASE_URL} (in {settings.origin(PLAIN_BASE_URL)}) has no effect on Foundry"
        yield warning("base URL", detail, f"unset it, or set {BASE_URL} if a gateway is meant")
    if note := foundry_target.sign_in_note(settings):
        detail, _, remedy = note.partition(": ")
        yield warning("sign-in", detail, remedy)
    else:
        yield ok("sign-in", "a key is set, or there are signs of an Entra sign-in; whether it is right is not tried")
    known = target(settings)
    host = known.host if known else ""
    yield judge_no_proxy(settings, host, proxy)
    yield judge_trust(settings, certificate, proxy)
    if proxy.kind is not Kind.ADDON and certificate and certificate.is_file():
        yield from judge_managed(settings, host, certificate)


def judge_use(settings: ClientSettings) -> Finding:
    """Whether Claude Code is told to use Foundry."""
    name = "Claude Code"
    if _is_on(settings):
        bedrock = replace(settings, variables={**settings.variables, RESOURCE: "x", BASE_URL: ""})
        try:
            foundry_target.find(bedrock)
        except LauncherError as error:
            detail, _, remedy = str(error).partition(": ")
            return failed(name, detail, remedy)
        return ok(name, f"uses Foundry: {USE_FOUNDRY} in {settings.origin(USE_FOUNDRY)}")
    if USE_FOUNDRY in settings.variables:
        detail = f"does not use Foundry: {USE_FOUNDRY} in {settings.origin(USE_FOUNDRY)} is not 1"
    else:
        detail = f"does not use Foundry: {USE_FOUNDRY} is not set"
    return failed(name, detail, f"set {USE_FOUNDRY}=1 ({foundry_target.HOW})")


def judge_resource(settings: ClientSettings) -> Finding:
    """Whether it knows where Foundry is."""
    name = "Foundry resource"
    found = _find(settings)
    if isinstance(found, str):
        detail, _, remedy = found.partition(": ")
        return failed(name, detail, remedy or "correct it")
    variable = BASE_URL if settings.variables.get(BASE_URL, "").strip() else RESOURCE
    origin = settings.origin(variable)
    if not host_rules.named_host(found.host):
        detail = f"{found.host} ({variable} in {origin}) is no host name that can be certified"
        return failed(name, detail, "name the gateway by a host name (a line in /etc/hosts gives it one)")
    if target(settings) is None:
        return failed(name, f"{variable} in {origin} has no possible port", "correct it")
    gateway = ", a gateway" if found.is_gateway else ""
    return ok(name, f"{found.host}{gateway} ({variable} in {origin})")


def judge_providers(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Whether what is named as a provider is one: claude-foundry does not start otherwise."""
    _, wrong = named_providers(environment)
    if wrong:
        names = ", ".join(ascii(item) for item in wrong)
        detail = f"{PROVIDERS}: {names} is not possible; allowed are {provider_hosts.NAMED_PROVIDERS}"
        yield failed("providers", detail, f"correct or unset {PROVIDERS}")


def judge_gateway(settings: ClientSettings, known: Collection[str], proxy: Look) -> Iterator[Finding]:
    """A proxy that was started by hand sees its own environment only, and not Claude Code's settings.

    `known` are the hosts that it is told of otherwise.
    """
    found = _find(settings)
    if isinstance(found, str) or not found.is_gateway or proxy.kind is not Kind.ADDON:
        return
    if found.host not in known and BASE_URL in settings.origins:
        yield warning(
            "gateway",
            f"a proxy that was started by hand does not know {found.host}, which {settings.origin(BASE_URL)} names",
            f"start it with --set foundry_extra_hosts={found.host}",
        )


def judge_no_proxy(settings: ClientSettings, host: str, proxy: Look) -> Finding:
    """Whether NO_PROXY leads requests for `host` past the proxy."""
    name = "NO_PROXY"
    if not host:
        return skipped(name, "which host is Foundry's is not known")
    dropped = no_proxy.repair(settings.variables, host).dropped
    if not dropped:
        return ok(name, f"does not cover {host}")
    variables = [each for each in ("NO_PROXY", "no_proxy") if settings.variables.get(each)]
    origins = " and ".join(f"{each} in {settings.origin(each)}" for each in variables)
    detail = f"{', '.join(dropped)} ({origins}) leads {host} past the proxy"
    if proxy.kind is Kind.ADDON:
        return failed(name, detail, f"take {', '.join(dropped)} out, or use scripts/claude-foundry, which does")
    return warning(name, detail, "scripts/claude-foundry takes that out for its session; by hand, take it out yourself")


def judge_trust(settings: ClientSettings, certificate: Path | None, proxy: Look) -> Finding:
    """Whether Claude Code trusts the authority whose `certificate` this is."""
    by_hand = proxy.is_own_addon
    remedy = f"set {TRUSTED}={certificate}" if certificate else "start scripts/make_ca, which says what to set it to"
    given = settings.variables.get(TRUSTED, "")
    if not given and by_hand:
        return failed(TRUSTED, "is not set, so Claude Code refuses the proxy's certificate", remedy)
    if not given:
        return skipped(TRUSTED, "is not set; scripts/claude-foundry sets it")
    where = f"{given} (in {settings.origin(TRUSTED)})"
    held = trust.read(given)
    if held is None:
        detail = f"{where} {'holds no certificate' if Path(given).is_file() else 'is no file that can be read'}"
        if by_hand:
            return failed(TRUSTED, detail, remedy)
        return warning(TRUSTED, detail, f"correct or unset {TRUSTED}")
    return _judge_bundle(held, where, certificate, remedy, by_hand=by_hand)


def _judge_bundle(held: bytes, where: str, certificate: Path | None, remedy: str, *, by_hand: bool) -> Finding:
    ours = trust.read(certificate)
    if ours is None:
        return skipped(TRUSTED, f"{where}: there is no authority that could be in it", remedy)
    if _certificates(ours) <= _certificates(held):
        return ok(TRUSTED, f"{where} holds the authority")
    if by_hand:
        return failed(TRUSTED, f"{where} does not hold the authority", f"{remedy}, or append that file to the other")
    return ok(TRUSTED, f"{where} does not hold the authority; scripts/claude-foundry adds it")


def judge_managed(settings: ClientSettings, host: str, certificate: Path) -> Iterator[Finding]:
    """What managed settings fix, claude-foundry cannot change."""
    try:
        child_environment.refuse_managed(settings, no_proxy.repair(settings.variables, host), certificate)
    except LauncherError as error:
        detail, _, remedy = str(error).rpartition(": ")
        yield failed("managed settings", detail, remedy)


def _is_on(settings: ClientSettings) -> bool:
    variables = {USE_FOUNDRY: settings.variables.get(USE_FOUNDRY, ""), RESOURCE: "x"}
    try:
        foundry_target.find(replace(settings, variables=variables))
    except LauncherError:
        return False
    return True


def _find(settings: ClientSettings) -> foundry_target.FoundryTarget | str:
    """The host, or what is wrong with what names it, whether or not Claude Code is told to use Foundry."""
    variables = {**settings.variables, USE_FOUNDRY: "1", "CLAUDE_CODE_USE_BEDROCK": ""}
    try:
        return foundry_target.find(replace(settings, variables=variables))
    except LauncherError as error:
        return _USER.sub("", str(error))


def _certificates(bundle: bytes) -> set[bytes]:
    found = set()
    for pem in _CERTIFICATE.findall(bundle):
        try:
            found.add(ssl.PEM_cert_to_DER_cert(pem.decode("ascii")))
        except ValueError:
            continue
    return found

"""A real request to Foundry on the way that Claude Code's requests take, without a credential.

Any answer of Foundry's, 401 as a rule, proves the way up to it. Where the way leads through the addon, the certificate
that is shown must be the authority's.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from doctor_checks.finding import Finding, failed, ok, warning
from doctor_checks.proxy import NamedProxy
from doctor_checks.wire import Deadline, NoHttpError, Reply, connect, exchange, handshake, within

__all__ = ["Attempt", "Step", "Target", "attempt", "judge", "trusting"]

SECONDS = 20.0
NAME = "request to Foundry"
BODY = b"{}"
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
_TAG = re.compile(r"<style>.*?</style>|<[^>]*>", re.DOTALL)
_SHOWN = 200  # characters of what somebody else said


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes."""

    host: str
    port: int = 443
    path: str = "/anthropic/v1/messages"
    is_gateway: bool = False
    is_plain: bool = False
    """It speaks plain HTTP, which this check does not."""


class Step(StrEnum):
    """How far the request got."""

    NO_NAME = "no-name"  # the host's name was not found
    NO_CONNECTION = "no-connection"
    NO_TUNNEL = "no-tunnel"  # the proxy answered CONNECT with an error
    NO_TLS = "no-tls"
    NO_TRUST = "no-trust"  # the certificate was refused
    NO_ANSWER = "no-answer"
    TOO_SLOW = "too-slow"
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of it."""

    step: Step
    reply: Reply | None = None
    """The answer to the request, or to CONNECT."""
    said: str = ""
    """The error, in the words of the system or of OpenSSL."""
    issuer: str = ""
    """Who signed the certificate that was refused."""


def trusting(bundles: Iterable[bytes | None]) -> ssl.SSLContext:
    """A context that trusts the authorities in these PEM `bundles` and no others. What is damaged is left out."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for bundle in bundles:
        for pem in _CERTIFICATE.findall(bundle or b""):
            with contextlib.suppress(ValueError, ssl.SSLError):
                context.load_verify_locations(cadata=ssl.PEM_cert_to_DER_cert(pem.decode("ascii")))
    return context


def attempt(target: Target, proxy: NamedProxy | None, context: ssl.SSLContext, seconds: float = SECONDS) -> Attempt:
    """Ask `target`, through `proxy` if there is one. Takes `seconds` at most, and raises nothing."""
    deadline = Deadline(seconds)
    try:
        return within(seconds, lambda: _attempt(target, proxy, context, deadline))
    except TimeoutError:
        return Attempt(Step.TOO_SLOW, said=f"nothing within {seconds:g} s")


class _StoppedError(Exception):
    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt


@contextlib.contextmanager
def _stage(step: Step) -> Iterator[None]:
    """What fails in the block has failed at `step`."""
    try:
        yield
    except (TimeoutError, ssl.SSLCertVerificationError):
        raise  # they are told apart wherever they come from
    except (OSError, NoHttpError) as error:
        raise _StoppedError(Attempt(step, said=_words(error))) from None


def _attempt(target: Target, proxy: NamedProxy | None, context: ssl.SSLContext, deadline: Deadline) -> Attempt:
    try:
        with contextlib.ExitStack() as stack:
            with _stage(Step.NO_CONNECTION):
                connection = stack.enter_context(_connect(target, proxy, deadline))
            with _stage(Step.NO_TLS):
                if proxy and (refusal := _open_tunnel(connection, target, deadline)):
                    return Attempt(Step.NO_TUNNEL, refusal)
                secured = stack.enter_context(handshake(connection, target.host, context, deadline))
            with _stage(Step.NO_ANSWER):
                return Attempt(Step.ANSWERED, exchange(secured, _head(target), deadline, BODY))
    except ssl.SSLCertVerificationError as error:
        return Attempt(Step.NO_TRUST, said=error.verify_message, issuer=_issuer(target, proxy, deadline))
    except _StoppedError as stopped:
        return stopped.attempt


def _head(target: Target) -> list[str]:
    port = "" if target.port == 443 else f":{target.port}"  # noqa: PLR2004 - HTTPS
    return [
        f"POST {target.path} HTTP/1.1",
        f"Host: {target.host}{port}",
        "Content-Type: application/json",
        f"Content-Length: {len(BODY)}",
        "Connection: close",
    ]


def _connect(target: Target, proxy: NamedProxy | None, deadline: Deadline) -> socket.socket:
    try:
        return connect(*((proxy.host, proxy.port) if proxy else (target.host, target.port)), deadline)
    except socket.gaierror as error:
        raise _StoppedError(Attempt(Step.NO_NAME, said=_words(error))) from None


def _open_tunnel(connection: socket.socket, target: Target, deadline: Deadline) -> Reply | None:
    """The proxy's refusal; None: the tunnel is open."""
    address = f"{target.host}:{target.port}"
    reply = exchange(connection, [f"CONNECT {address} HTTP/1.1", f"Host: {address}"], deadline)
    return reply if reply.status != 200 else None  # noqa: PLR2004


def _issuer(target: Target, proxy: NamedProxy | None, deadline: Deadline) -> str:
    """Who signed what is shown, by a second connection on which nothing is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with _connect(target, proxy, deadline) as connection:
            if proxy and _open_tunnel(connection, target, deadline):
                return ""
            with handshake(connection, target.host, context, deadline) as secured:
                shown = secured.getpeercert(binary_form=True)
        issuer = x509.load_der_x509_certificate(shown or b"").issuer
    except (OSError, NoHttpError, ValueError, _StoppedError):
        return ""
    for kind in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        for attribute in issuer.get_attributes_for_oid(kind):
            return _one_line(str(attribute.value))
    return ""


def judge(tried: Attempt, target: Target, proxy: NamedProxy | None, *, by_addon: bool, certificate: Path) -> Finding:
    """What this means. `by_addon`: the addon should have looked into it; `certificate` is then what vouches for it."""
    way = f"through {proxy.address}" if proxy else "without a proxy"
    if tried.step is Step.ANSWERED and tried.reply:
        return _judge_answer(tried.reply, target, way, by_addon=by_addon)
    if tried.step is Step.NO_TRUST:
        return _judge_trust(tried, target, way, by_addon=by_addon, certificate=certificate)
    if tried.step is Step.NO_TUNNEL and tried.reply:
        return _judge_refusal(tried.reply, target, way, proxy)
    remedy = {
        Step.NO_NAME: f"check the name {proxy.host if proxy else target.host}, and whether this network needs a proxy",
        Step.NO_CONNECTION: "check the network, and whether it needs a proxy (HTTPS_PROXY)",
        Step.NO_TLS: "something on the way is not TLS, or cuts it off: ask whoever runs the network or the gateway",
        Step.NO_ANSWER: "something on the way cuts connections off: ask whoever runs the network or the gateway",
        Step.TOO_SLOW: "check the network; a firewall that drops connections looks like this",
    }[tried.step]
    return failed(NAME, f"{target.host} {way}: {tried.said}", remedy)


def _judge_answer(reply: Reply, target: Target, way: str, *, by_addon: bool) -> Finding:
    detail = f"{target.host} answered {reply.status} {way}"
    if reply.is_mitmproxys:
        return _judge_refusal(reply, target, way, None)
    match reply.status:
        case 407:
            return _judge_refusal(reply, target, way, None)
        case 403:
            remedy = "a firewall or the resource's network rules may keep this machine out: ask your administrator"
            return warning(NAME, f"{detail}: it refuses more than a missing key", remedy)
        case 404:
            remedy = "check ANTHROPIC_FOUNDRY_RESOURCE or the path in ANTHROPIC_FOUNDRY_BASE_URL"
            return warning(NAME, f"{detail}: nothing is at {target.path}", remedy)
        case status if status >= 500:  # noqa: PLR2004
            return warning(NAME, f"{detail}: it is in trouble, or what is before it", "try again later")
    signed = ", with a certificate by the authority" if by_addon else ""
    return ok(NAME, f"{detail}{signed}; no key was sent")


def _judge_trust(tried: Attempt, target: Target, way: str, *, by_addon: bool, certificate: Path) -> Finding:
    by = f", signed by {tried.issuer}" if tried.issuer else ""
    if not by_addon:
        detail = f"the certificate of {target.host} {way}{by}, is not trusted: {tried.said}"
        remedy = "if the network looks into connections, name its authority's file in NODE_EXTRA_CA_CERTS"
        return failed(NAME, detail, remedy)
    detail = f"{target.host} {way} shows a certificate{by}, which {certificate} does not vouch for: {tried.said}"
    if tried.issuer.startswith("Foundry Compress"):
        return failed(NAME, detail, "restart the proxy; if it has another confdir, name that with --confdir")
    if target.is_gateway:
        return failed(NAME, detail, f"start the proxy with --set foundry_extra_hosts={target.host}")
    return failed(NAME, detail, "start the proxy without an option that keeps it from decrypting (ignore_hosts)")


def _judge_refusal(reply: Reply, target: Target, way: str, proxy: NamedProxy | None) -> Finding:
    said = _one_line(_TAG.sub(" ", reply.body.decode("utf-8", "replace")))
    detail = f"{target.host} {way}: a proxy answered {reply.status}{f' ({said})' if said else ''}"
    if reply.status == 407:  # noqa: PLR2004
        if proxy and proxy.has_credentials:
            detail += "; it wants its user and password, which this check does not send"
            return warning(NAME, detail, "what lies behind it can be tried in a session only")
        return failed(NAME, detail, "give the proxy's user and password, in its URL or in mitmproxy's upstream_auth")
    if "certificate" in said.lower():
        remedy = (
            "if your network looks into connections, name its authority's file in mitmproxy's option "
            "ssl_verify_upstream_trusted_ca, or in NODE_EXTRA_CA_CERTS before claude-foundry starts"
        )
        return failed(NAME, detail, remedy)
    if reply.status in (401, 403):
        return failed(NAME, detail, f"ask whoever runs the proxy to let {target.host} through")
    return failed(NAME, detail, "check the resource's name, and whether the proxy needs a company's proxy behind it")


def _words(error: Exception) -> str:
    if isinstance(error, NoHttpError):
        return "what answered does not speak HTTP"
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return _one_line(str(said))


def _one_line(text: str) -> str:
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"

"""All checks, one after the other; what one of them finds out, the next ones use.

A check imports what it needs when it is made, so that a broken environment costs only the checks that need it.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from doctor_checks import environment, proxy
from doctor_checks.environment import EnvironmentState
from doctor_checks.finding import Finding, Verdict, failed, skipped
from launcher import client_settings, places

if TYPE_CHECKING:
    from doctor_checks.request import Target

__all__ = ["Examination", "Subject", "guarded", "worst"]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is examined."""

    project: Path
    variables: Mapping[str, str]
    """The environment in which Claude Code would be started."""
    directory: Path
    """Where it would be started."""
    confdir: Path
    state_dir: Path | None
    """None: as the variables say."""
    environment_state: EnvironmentState = EnvironmentState.CURRENT
    proxy: str | None = None
    """A URL; None: the one that Claude Code would use."""
    offline: bool = False
    managed_directory: Path = client_settings.MANAGED_DIRECTORY
    policy_file: Path | None = None
    """The administrator's; None: where it usually is."""


class Examination:
    """One run of the doctor."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._settings = client_settings.read(subject.variables, (), subject.directory, subject.managed_directory)

    @property
    def variables(self) -> Mapping[str, str]:
        """Every variable that Claude Code would see."""
        return self._settings.variables

    def findings(self) -> Iterator[Finding]:
        """Make every check; raises nothing."""
        subject = self._subject
        yield from guarded("Python", lambda: environment.check(subject.project, subject.environment_state))
        yield from guarded("company policy", self._policy)
        yield from guarded("authority", self._authority)
        yield from guarded("proxy", self._proxy)
        yield from guarded("Claude Code", self._client)
        yield from guarded("request to Foundry", self._request)
        yield from guarded("last hour", self._traffic)

    @cached_property
    def _look(self) -> proxy.Look:
        return proxy.look(proxy.name_proxy(self._settings, self._subject.proxy))

    @property
    def _certificate(self) -> Path:
        from connecting.certificate_authority import CERTIFICATE_FILE

        return self._subject.confdir / CERTIFICATE_FILE

    def _policy(self) -> Iterator[Finding]:
        from doctor_checks import client, policy

        named, _ = client.extra_hosts(self._subject.variables, self._settings)
        providers, _ = client.named_providers(self._subject.variables)
        return policy.check(self._subject.policy_file, self._subject.variables, named, providers)

    @cached_property
    def _company_hosts(self) -> tuple[str, ...]:
        try:
            from doctor_checks import policy
        except ImportError:  # the check of the policy has said so
            return ()
        return policy.hosts(self._subject.policy_file)

    def _authority(self) -> Iterator[Finding]:
        from doctor_checks import authority, client

        named, _ = client.extra_hosts(self._subject.variables, self._settings)
        hosts = dict.fromkeys([*named, *self._company_hosts])
        providers, _ = client.named_providers(self._subject.variables)
        return authority.check(self._subject.confdir, list(hosts), dt.datetime.now(dt.UTC), providers)

    def _proxy(self) -> Iterator[Finding]:
        yield proxy.judge(self._look)
        for further in (
            proxy.judge_client(self._settings, self._look),
            proxy.judge_spellings(self._settings),
        ):
            if further:
                yield further

    def _client(self) -> Iterator[Finding]:
        from doctor_checks import client

        certificate = self._certificate if self._certificate.is_file() else None
        return client.check(self._settings, self._subject.variables, self._look, certificate, self._company_hosts)

    def _request(self) -> Iterator[Finding]:
        from doctor_checks import client, request

        target = client.target(self._settings)
        if reason := self._why_no_request(target):
            yield skipped(request.NAME, reason)
        elif target:
            yield self._request_to(target)

    def _why_no_request(self, target: Target | None) -> str:
        if self._subject.offline:
            return "left out: --offline"
        if target is None or target.is_plain:
            plain = "this check does not speak plain HTTP, as that gateway does"
            return plain if target else "which host is Foundry's is not known"
        if self._look.kind in (proxy.Kind.UNUSABLE, proxy.Kind.SILENT, proxy.Kind.LOCKED, proxy.Kind.MITMPROXY):
            return "there is no way through the proxy yet"
        if self._look.proxy and self._look.proxy.scheme == "https":
            return "this check does not speak TLS with a proxy"
        if self._by_addon and not self._certificate.is_file():
            return f"there is no {self._certificate} to check the proxy's certificate with"
        return ""

    @property
    def _by_addon(self) -> bool:
        return self._look.is_own_addon and self._look.mode != "off"

    def _request_to(self, target: Target) -> Finding:
        from doctor_checks import request
        from launcher import trust

        variables = self._settings.variables
        if self._by_addon:
            context = request.trusting([trust.read(self._certificate)])
        else:  # as claude-foundry's proxy would
            given = trust.read(variables.get("NODE_EXTRA_CA_CERTS"))
            context = request.trusting([trust.mozilla(), trust.system(variables), given])
        tried = request.attempt(target, self._look.proxy, context)
        return request.judge(tried, target, self._look.proxy, by_addon=self._by_addon, certificate=self._certificate)

    def _traffic(self) -> Iterator[Finding]:
        from doctor_checks import traffic

        directory = self._subject.state_dir or places.state_dir(self._subject.variables)
        yield traffic.check(directory, time.time())


def guarded(name: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """The findings of `check`, and one in their place where it breaks."""
    try:
        yield from check()
    except ImportError as error:
        yield skipped(name, f"needs {error.name or 'a package'}, which cannot be imported (see above)")
    except Exception as error:  # noqa: BLE001 - one check that breaks must not hide the others
        yield failed(name, f"this check itself broke: {type(error).__name__} at {_place(error)}", "please report it")


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "an unknown place"


def worst(findings: Iterable[Finding]) -> Verdict:
    """The verdict on all of them together."""
    found = {finding.verdict for finding in findings}
    return next((each for each in (Verdict.FAILED, Verdict.WARNING) if each in found), Verdict.OK)

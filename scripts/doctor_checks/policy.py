"""The administrator's file: what it fixes, whether the user could change it, and what the user set beyond it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from configuring import company_policy
from configuring.company_policy import CompanyPolicy, PolicyError
from doctor_checks.finding import Finding, failed, ok, skipped, warning

__all__ = ["check", "hosts"]

NAME = "company policy"
MODE = "FOUNDRY_COMPRESS_MODE"
PROVIDERS = "FOUNDRY_COMPRESS_PROVIDERS"
ASK = "ask your administrator to correct it; until then nothing is rewritten"


def hosts(file: Path | None) -> tuple[str, ...]:
    """The hosts that stand for Foundry by the policy in `file` (None: in its usual place); none if it is broken."""
    policy = company_policy.in_force(file)
    return policy.extra_hosts if policy else ()


def check(
    file: Path | None, environment: Mapping[str, str], extra_hosts: Sequence[str], providers: Sequence[str] = ()
) -> Iterator[Finding]:
    """The findings for the policy in `file` and what this `environment` sets.

    `extra_hosts` and `providers` are those in use.
    """
    try:
        policy = company_policy.load(file)
    except PolicyError as error:
        yield failed(NAME, str(error), ASK)
        return
    if policy is None:
        yield skipped(NAME, f"there is none ({file or company_policy.POLICY_FILE})")
        return
    yield judge(policy)
    yield from judge_settings(policy, environment, extra_hosts, providers)


def judge(policy: CompanyPolicy) -> Finding:
    """What it fixes, and for whom."""
    said = policy.describe().removeprefix(f"{NAME} ")
    if policy.is_locked:
        return ok(NAME, said)
    remedy = f"let an administrator own {policy.file} and its folder, and nobody else write there"
    return warning(NAME, f"{said}; whoever started this could change it", remedy)


def judge_settings(
    policy: CompanyPolicy, environment: Mapping[str, str], extra_hosts: Sequence[str], providers: Sequence[str]
) -> Iterator[Finding]:
    """What is set beyond it, and will be refused."""
    mode = environment.get(MODE, "")
    if mode and mode not in policy.listed_modes():
        allowed = ", ".join(policy.listed_modes())
        yield failed("policy: mode", f"{MODE}: {mode!a} is beyond the company policy", f"unset it, or set {allowed}")
    if refused := policy.refused_hosts(extra_hosts):
        yield failed(
            "policy: hosts",
            f"beyond the company policy: {', '.join(refused)}",
            "take them out of FOUNDRY_COMPRESS_EXTRA_HOSTS and ANTHROPIC_FOUNDRY_BASE_URL, or ask your administrator",
        )
    if beyond := [one for one in providers if policy.refused_provider(PROVIDERS, [one])]:
        allowed = ", ".join(policy.allowed_providers()) or "none"
        yield failed(
            "policy: providers",
            f"beyond the company policy: {', '.join(beyond)}; allowed are {allowed}",
            f"correct or unset {PROVIDERS}, or ask your administrator",
        )

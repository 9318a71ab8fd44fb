"""The options named `foundry_*`: declared, read and checked.

mitmproxy drops an addon without a word when `--set` gives an option of it a value of the wrong type, no value, or two.
So every option here is a string, whatever was given arrives as one, and `read_settings` is the only judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mitmproxy.addonmanager import Loader
from mitmproxy.exceptions import OptionsError
from mitmproxy.optmanager import OptManager

import host_rules
from compression_engine import Policy, Setting
from configuring.company_policy import CompanyPolicy
from configuring.mitmproxy_settings import is_given
from configuring.possible_values import HOLDOUT_DECIMALS, KEEP_DAYS, KEEP_MB, Mode
from configuring.state_dir import state_dir
from configuring.state_url import StateUrl, read_state_url
from conversations import redis_store
from host_rules import Scope
from provider_hosts import NAMED_PROVIDERS, named_provider

__all__ = [
    "BASE_URL_VARIABLE",
    "OPTION_NAMES",
    "Settings",
    "declare",
    "read_settings",
    "unknown_names",
]

BASE_URL_VARIABLE = "ANTHROPIC_FOUNDRY_BASE_URL"
"""The variable in which Claude Code is told of a gateway; its host counts as an extra host."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the options say.

    `extra_hosts` are normalised names, sorted, `providers` others that serve Claude, as `provider_hosts.named_provider`
    returns them. `cache_lifetime` (None: as each request asks) and `budget` (see `EngineWorker`) are in seconds,
    `recent` and `least` in tokens, see `compression_engine.Setting`, `work` in characters, see `Policy`; `holdout` is a
    share from 0 to 1. `keep_days` and `keep_mb` bound the ledger, `flows_bytes` what mitmweb keeps. `state_url` is the
    server in which conversations are remembered, None: a file in `state_dir`.
    """

    mode: Mode
    extra_hosts: tuple[str, ...]
    memory_bytes: int
    cache_lifetime: float | None
    state_dir: Path
    recent: int
    least: int
    holdout: float = 0.0
    keep_days: int = 90
    keep_mb: int = 256
    providers: tuple[str, ...] = ()
    flows_bytes: int = 120 * 1024 * 1024
    work: int = Policy().work
    budget: float = 2.0
    state_url: StateUrl | None = None

    @property
    def scope(self) -> Scope:
        """Whose connections are looked into."""
        return Scope(self.extra_hosts, self.providers)


_DECLARED: tuple[tuple[str, str, str], ...] = (
    (
        "foundry_mode",
        Mode.BALANCED,
        "What is done to requests to Foundry: off (tunnelled), observe (measured), lossless, or balanced (sets aside).",
    ),
    (
        "foundry_extra_hosts",
        "",
        f"Further hosts that stand for Foundry, with commas between. The host of {BASE_URL_VARIABLE} is added.",
    ),
    (
        "foundry_providers",
        "",
        f"Others that serve Claude, whose requests are treated as well: {NAMED_PROVIDERS}.",
    ),
    (
        "foundry_memory_mb",
        "120",
        "Megabytes that finished work may take in memory, so that a request costs what is new in it.",
    ),
    (
        "foundry_work_mb",
        "8",
        "Megabytes of tool results of a conversation that are looked into; what comes after them passes as it is.",
    ),
    (
        "foundry_budget_ms",
        "2000",
        "Milliseconds after which a request goes out as it is, where that breaks no prompt cache.",
    ),
    (
        "foundry_cache_ttl",
        "auto",
        "How long the service keeps a prompt cache: auto (as each request asks), 5m, 1h, or a number of seconds.",
    ),
    (
        "foundry_state_dir",
        "",
        "Folder for what is remembered of conversations: hashes and times, no content. Empty: the user's own.",
    ),
    (
        "foundry_state_url",
        "",
        "Redis server that remembers conversations, for proxies that share them: redis://HOST:PORT/DB, or @FILE.",
    ),
    (
        "foundry_recent_tokens",
        str(Setting().window),
        "Mode balanced: how many tokens of newer results make one of 1,000 tokens old enough to be set aside.",
    ),
    (
        "foundry_least_tokens",
        str(Setting().least),
        "Mode balanced: how many tokens a result must have to be set aside.",
    ),
    (
        "foundry_holdout",
        "0",
        "Percentage of sessions that are left alone, so that the report can compare them with the others.",
    ),
    (
        "foundry_token",
        "",
        "What must be shown to change the mode at foundry.local. Empty: a new one is made and logged at each start.",
    ),
    (
        "foundry_flows_mb",
        "120",
        "Megabytes of flows that mitmweb and the console keep; the oldest go first, and none that you have marked.",
    ),
    (
        "foundry_keep_days",
        "90",
        "How many days the ledger of requests goes back.",
    ),
    (
        "foundry_keep_mb",
        "256",
        "How many megabytes the ledger may take; the oldest requests go first.",
    ),
)

OPTION_NAMES = frozenset(name for name, _, _ in _DECLARED)
_MEMORY_MB = range(1, 65_537)
_WORK_MB = range(1, 1_025)
_BUDGET_MS = range(10, 20_001)
_TOKENS = range(10_000_001)
_PERCENT = re.compile(rf"[0-9]{{1,3}}(?:\.[0-9]{{1,{HOLDOUT_DECIMALS}}})?")
_WHOLE = 100.0
_CACHE_TTLS = {"auto": None, "5m": 300.0, "1h": 3600.0}
_SECONDS = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,3})?")


def declare(loader: Loader) -> None:
    """Add the options to mitmproxy; call in `load`."""
    for name, default, help_text in _DECLARED:
        loader.add_option(name, str, str(default), help_text)
    _settle(loader.master.options.deferred)


def _settle(deferred: dict[str, Any]) -> None:
    """Turn what was given for our options before they existed into strings: see the module's docstring."""
    for name in OPTION_NAMES & deferred.keys():
        # A list of strings from the command line wears a wrapper of mitmproxy's; config.yaml holds plain YAML values.
        given = getattr(deferred[name], "val", deferred[name])
        values = given if isinstance(given, list) else [given]
        deferred[name] = ",".join(str(value) for value in values)


def unknown_names(options: OptManager) -> list[str]:
    """Names given as options that look like ours and are not; complete once every script has been loaded."""
    return sorted(name for name in options.deferred if name.lower().startswith(("foundry_", "foundry-")))


def read_settings(options: OptManager, environment: Mapping[str, str], policy: CompanyPolicy | None = None) -> Settings:
    """Read the options and the variable `BASE_URL_VARIABLE` of `environment`, and hold them against `policy`.

    What was given must be within the policy; what was not follows it.

    Raises:
        OptionsError: a value is not possible; one line that names the option, the value and what is allowed.

    """
    named = {
        "foundry_extra_hosts": [_extra_host("foundry_extra_hosts", it) for it in _listed(options.foundry_extra_hosts)]
    }
    if base_url := environment.get(BASE_URL_VARIABLE, "").strip():
        named[BASE_URL_VARIABLE] = [_extra_host(BASE_URL_VARIABLE, base_url)]
    settings = Settings(
        mode=Mode(_one_of("foundry_mode", options.foundry_mode, Mode)),
        extra_hosts=_sorted_hosts(host for hosts in named.values() for host in hosts),
        providers=tuple(sorted({_provider(item) for item in _listed(options.foundry_providers)})),
        memory_bytes=_number("foundry_memory_mb", options.foundry_memory_mb, _MEMORY_MB) * 1024 * 1024,
        cache_lifetime=_cache_lifetime(options.foundry_cache_ttl),
        state_dir=state_dir(options.foundry_state_dir),
        state_url=_state_url(options.foundry_state_url),
        recent=_number("foundry_recent_tokens", options.foundry_recent_tokens, _TOKENS),
        least=_number("foundry_least_tokens", options.foundry_least_tokens, _TOKENS),
        holdout=_share("foundry_holdout", options.foundry_holdout),
        keep_days=_number("foundry_keep_days", options.foundry_keep_days, KEEP_DAYS),
        keep_mb=_number("foundry_keep_mb", options.foundry_keep_mb, KEEP_MB),
        flows_bytes=_number("foundry_flows_mb", options.foundry_flows_mb, _MEMORY_MB) * 1024 * 1024,
        work=_number("foundry_work_mb", options.foundry_work_mb, _WORK_MB) * 1_000_000,
        budget=_number("foundry_budget_ms", options.foundry_budget_ms, _BUDGET_MS) / 1000,
    )
    if policy is None:
        return settings
    if policy.error:  # who may do what is not known: nobody's requests are looked into
        return replace(settings, mode=Mode.OFF)
    for source, hosts in named.items():
        if refused := policy.refused_host(source, hosts):
            raise OptionsError(refused)
    if refused := policy.refused_provider("foundry_providers", settings.providers):
        raise OptionsError(refused)
    return _within(policy, settings, options)


def _within(policy: CompanyPolicy, settings: Settings, options: OptManager) -> Settings:
    """`settings` with what the policy says in the place of what nobody gave."""

    def judged[T](name: str, value: T, usual: T, allowed: str, *, is_allowed: bool) -> T:
        if not is_given(options, name):
            return usual
        if is_allowed:
            return value
        raise OptionsError(policy.refusal(name, _shown(getattr(options, name)), allowed))

    def bounded(name: str, value: int, most: int | None) -> int:
        most = value if most is None else most
        return judged(name, value, min(value, most), f"at most {most}", is_allowed=value <= most)

    modes = policy.listed_modes()
    holdout = settings.holdout if policy.holdout is None else policy.holdout
    return replace(
        settings,
        mode=judged(
            "foundry_mode",
            settings.mode,
            Mode(policy.usual_mode(settings.mode)),
            f"one of {', '.join(modes)}",
            is_allowed=settings.mode in modes,
        ),
        extra_hosts=_sorted_hosts([*settings.extra_hosts, *policy.extra_hosts]),
        keep_days=bounded("foundry_keep_days", settings.keep_days, policy.keep_days),
        keep_mb=bounded("foundry_keep_mb", settings.keep_mb, policy.keep_mb),
        holdout=judged(
            "foundry_holdout",
            settings.holdout,
            holdout,
            f"only {policy.shown_holdout}",
            is_allowed=settings.holdout == holdout,
        ),
    )


def _sorted_hosts(hosts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({host for host in hosts if not host_rules.is_foundry_host(host)}))


def _number(name: str, value: str, possible: range) -> int:
    if value.isascii() and value.isdecimal() and int(value) in possible:
        return int(value)
    raise OptionsError(
        f"{name}: {_shown(value)} is not possible; "
        f"allowed is a whole number from {possible.start} to {possible.stop - 1}"
    )


def _share(name: str, value: str) -> float:
    if _PERCENT.fullmatch(value) and float(value) <= _WHOLE:
        return float(value) / _WHOLE
    raise OptionsError(f"{name}: {_shown(value)} is not possible; allowed is a percentage from 0 to 100")


def _cache_lifetime(value: str) -> float | None:
    if _SECONDS.fullmatch(value):
        return float(value)
    return _CACHE_TTLS[_one_of("foundry_cache_ttl", value, _CACHE_TTLS, "a number of seconds")]


def _state_url(given: str) -> StateUrl | None:
    try:
        url = read_state_url(given)
    except ValueError as error:  # says nothing of a password
        raise OptionsError(f"foundry_state_url: {error}") from None
    if url is not None and not redis_store.IS_AVAILABLE:
        raise OptionsError(f"foundry_state_url: {redis_store.HOW_TO_GET_IT}")
    return url


def _one_of(name: str, value: str, allowed: Iterable[str], *others: str) -> str:
    if value in allowed:
        return value
    raise OptionsError(f"{name}: {_shown(value)} is not possible; {_allowed([*allowed, *others])}")


def _listed(value: str) -> list[str]:
    return [item for item in re.split(r"[,\s]+", value) if item]


def _extra_host(source: str, given: str) -> str:
    if host := host_rules.named_host(given):
        return host
    raise OptionsError(f"{source}: {_shown(given)} is not possible; {_allowed([host_rules.NAMED_HOSTS])}")


def _provider(given: str) -> str:
    if named := named_provider(given):
        return named
    raise OptionsError(f"foundry_providers: {_shown(given)} is not possible; {_allowed([NAMED_PROVIDERS])}")


def _allowed(values: Iterable[str]) -> str:
    return f"allowed are {', '.join(values)}"


def _shown(value: str) -> str:
    """`value` on one line and short, whatever is in it."""
    shown = ascii(value)
    return shown if len(shown) <= 80 else f"{shown[:80]}…"  # noqa: PLR2004 - a line that a person reads

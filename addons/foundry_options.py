"""The options named `foundry_*`: declared, read and checked.

mitmproxy drops an addon without a word when `--set` gives an option of it a value of the wrong type, no value, or two.
So every option here is a string, whatever was given arrives as one, and `read_settings` is the only judge.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from mitmproxy.exceptions import OptionsError

import host_rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mitmproxy.addonmanager import Loader
    from mitmproxy.optmanager import OptManager

__all__ = ["BASE_URL_VARIABLE", "OPTION_NAMES", "Mode", "Settings", "declare", "read_settings", "unknown_names"]

BASE_URL_VARIABLE = "ANTHROPIC_FOUNDRY_BASE_URL"
"""The variable in which Claude Code is told of a gateway; its host counts as an extra host."""


class Mode(StrEnum):
    """How much is done to a request."""

    OFF = "off"  # every connection is tunnelled
    OBSERVE = "observe"  # measured, not changed
    LOSSLESS = "lossless"  # rewritten; what is sent says everything that the client said
    BALANCED = "balanced"  # would also set old results aside; not available yet


@dataclass(frozen=True, slots=True)
class Settings:
    """What the options say. `extra_hosts` are normalised names, sorted; `cache_ttl` is "auto", "5m" or "1h"."""

    mode: Mode
    extra_hosts: tuple[str, ...]
    memory_bytes: int
    cache_ttl: str


_DECLARED: tuple[tuple[str, str, str], ...] = (
    (
        "foundry_mode",
        Mode.LOSSLESS,
        "What is done to requests to Azure AI Foundry: off (tunnelled), observe (measured, not changed) or lossless.",
    ),
    (
        "foundry_extra_hosts",
        "",
        f"Further hosts that stand for Foundry, with commas between. The host of {BASE_URL_VARIABLE} is added.",
    ),
    (
        "foundry_memory_mb",
        "256",
        "Megabytes that finished work may take in memory, so that a request costs what is new in it.",
    ),
    (
        "foundry_cache_ttl",
        "auto",
        "How long the service keeps a prompt cache: auto (as each request asks), 5m or 1h. Has no effect yet.",
    ),
)

OPTION_NAMES = frozenset(name for name, _, _ in _DECLARED)
_AVAILABLE_MODES = (Mode.OFF, Mode.OBSERVE, Mode.LOSSLESS)
_MEMORY_MB = range(1, 65_537)
_CACHE_TTLS = ("auto", "5m", "1h")


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


def read_settings(options: OptManager, environment: Mapping[str, str]) -> Settings:
    """Read the options and the variable `BASE_URL_VARIABLE` of `environment`.

    Raises:
        OptionsError: a value is not possible; one line that names the option, the value and what is allowed.

    """
    hosts = {_extra_host("foundry_extra_hosts", given) for given in _listed(options.foundry_extra_hosts)}
    if base_url := environment.get(BASE_URL_VARIABLE, "").strip():
        hosts.add(_extra_host(BASE_URL_VARIABLE, base_url))
    return Settings(
        mode=_mode(options.foundry_mode),
        extra_hosts=tuple(sorted(host for host in hosts if not host_rules.is_foundry_host(host))),
        memory_bytes=_memory_mb(options.foundry_memory_mb) * 1024 * 1024,
        cache_ttl=_one_of("foundry_cache_ttl", options.foundry_cache_ttl, _CACHE_TTLS),
    )


def _mode(value: str) -> Mode:
    if value == Mode.BALANCED:
        raise OptionsError(f"foundry_mode: 'balanced' is not available in this version; {_allowed(_AVAILABLE_MODES)}")
    return Mode(_one_of("foundry_mode", value, _AVAILABLE_MODES))


def _memory_mb(value: str) -> int:
    if value.isascii() and value.isdecimal() and int(value) in _MEMORY_MB:
        return int(value)
    raise OptionsError(
        f"foundry_memory_mb: {_shown(value)} is not possible; "
        f"allowed is a whole number from {_MEMORY_MB.start} to {_MEMORY_MB.stop - 1}"
    )


def _one_of(name: str, value: str, allowed: Iterable[str]) -> str:
    if value in allowed:
        return value
    raise OptionsError(f"{name}: {_shown(value)} is not possible; {_allowed(allowed)}")


def _listed(value: str) -> list[str]:
    return [item for item in re.split(r"[,\s]+", value) if item]


def _extra_host(source: str, given: str) -> str:
    if host := host_rules.named_host(given):
        return host
    raise OptionsError(f"{source}: {_shown(given)} is not possible; {_allowed([host_rules.NAMED_HOSTS])}")


def _allowed(values: Iterable[str]) -> str:
    return f"allowed are {', '.join(values)}"


def _shown(value: str) -> str:
    """`value` on one line and short, whatever is in it."""
    shown = ascii(value)
    return shown if len(shown) <= 80 else f"{shown[:80]}…"  # noqa: PLR2004 - a line that a person reads

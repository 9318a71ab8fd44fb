"""What an administrator allows on this machine: a TOML file that the user cannot move, and need not be able to change.

`load` reads it, `in_force` does so for whoever must go on whatever is in it, and `foundry_options.read_settings`
applies it. No environment variable and no option leads to another file.
"""

from __future__ import annotations

import difflib
import os
import stat
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import host_rules
from configuring.possible_values import HOLDOUT_DECIMALS, KEEP_DAYS, KEEP_MB, Mode
from provider_hosts import PROVIDERS

__all__ = ["POLICY_FILE", "CompanyPolicy", "PolicyError", "in_force", "load"]


class PolicyError(Exception):
    """The policy file cannot be used; one line that names it and says why."""


def _policy_file() -> Path:
    return _system_folder() / "foundry-compress" / "policy.toml"


def _system_folder() -> Path:
    """The folder for settings that hold for all users."""
    if sys.platform == "darwin":
        return Path("/Library/Application Support")
    if sys.platform != "win32":
        return Path("/etc")
    import winreg  # noqa: PLC0415 - there is none elsewhere

    # Not %PROGRAMDATA%, which every user can set; this part of the registry is the administrators'.
    where = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Explorer\Shell Folders"
    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, where) as key:
            return Path(str(winreg.QueryValueEx(key, "Common AppData")[0]))
    except OSError:
        return Path("C:/ProgramData")


POLICY_FILE = _policy_file()
"""Where an administrator places the policy of this machine."""


@dataclass(frozen=True, slots=True)
class CompanyPolicy:
    """What the file says; None where it says nothing of it.

    `modes` are those that are allowed, `mode` is the one for who chooses none. `extra_hosts` are normalised names that
    stand for Foundry too; unless `may_add_hosts`, users may name no others. `providers` are those beside Foundry that
    users may name; where the file does not say, all or none, as `may_add_hosts` has it. `keep_days` and `keep_mb` are
    the most that the ledger may keep. `holdout` is a share from 0 to 1 that the user can only leave as it is.
    `is_locked`: the current user could not change the file, as far as can be told; see `docs/policy.md`.
    `error`: why the file cannot be used; then nothing is rewritten.
    """

    file: Path
    is_locked: bool
    modes: frozenset[str] | None = None
    mode: str | None = None
    extra_hosts: tuple[str, ...] = ()
    may_add_hosts: bool = True
    providers: tuple[str, ...] | None = None
    keep_days: int | None = None
    keep_mb: int | None = None
    holdout: float | None = None
    error: str = ""

    def describe(self) -> str:
        """One phrase, for the start line and the doctor."""
        if self.error:
            return f"company policy cannot be used, so nothing is rewritten ({self.error})"
        said = []
        if self.modes is not None:
            said.append(f"modes {' '.join(self.listed_modes())}")
        if self.mode is not None:
            said.append(f"mode {self.mode} unless another is chosen")
        if self.extra_hosts or not self.may_add_hosts:
            others = "" if self.may_add_hosts else "no others" if self.extra_hosts else "none but Foundry's own"
            said.append("hosts " + ", ".join(filter(None, (" ".join(self.extra_hosts), others))))
        if self.providers is not None:
            said.append(f"providers beside Foundry {' '.join(self.providers) or 'none'}")
        bounds = [f"{most} {unit}" for most, unit in ((self.keep_days, "days"), (self.keep_mb, "MB")) if most]
        if bounds:
            said.append(f"ledger up to {' and '.join(bounds)}")
        if self.holdout is not None:
            said.append(f"holdout {self.shown_holdout}%")
        return f"company policy {self.file} ({'locked' if self.is_locked else 'not locked'}): " + (
            "; ".join(said) or "no limits"
        )

    @property
    def shown_holdout(self) -> str:
        """The holdout in percent, for a person; empty if the file says nothing of it."""
        return "" if self.holdout is None else f"{round(self.holdout * 100, HOLDOUT_DECIMALS):.12g}"

    def listed_modes(self) -> list[str]:
        """The modes that are allowed, in their usual order."""
        return [mode for mode in Mode if self.modes is None or mode in self.modes]

    def usual_mode(self, otherwise: str) -> str:
        """The mode for who chooses none: the policy's, or `otherwise`, or of those allowed the one that does most."""
        allowed = self.listed_modes()
        return self.mode or (otherwise if otherwise in allowed else allowed[-1])

    def refused_hosts(self, hosts: Iterable[str]) -> list[str]:
        """Which of `hosts` (normalised names) users may not name, sorted."""
        if self.may_add_hosts:
            return []
        return sorted(host for host in set(hosts) if not host_rules.is_foundry_host(host, self.extra_hosts))

    def refusal(self, name: str, shown: str, allowed: str) -> str:
        """The line that refuses what a user set: `name` is the option or variable, `shown` its value for a person."""
        return f"{name}: {shown} is beyond the company policy in {self.file}; allowed is {allowed}"

    def refused_host(self, name: str, hosts: Iterable[str]) -> str:
        """The line that refuses the first of `hosts` that users may not name; empty if there is none."""
        own = f"no host but Foundry's own{''.join(f', {host}' for host in self.extra_hosts)}"
        return next((self.refusal(name, ascii(host), own) for host in self.refused_hosts(hosts)), "")

    def allowed_providers(self) -> tuple[str, ...]:
        """Those beside Foundry that users may name."""
        return self.providers if self.providers is not None else PROVIDERS if self.may_add_hosts else ()

    def refused_provider(self, name: str, providers: Iterable[str]) -> str:
        """The line that refuses the first of `providers` (one region's, perhaps) that users may not name; or empty."""
        allowed = self.allowed_providers()
        refused = (one for one in providers if one.partition(":")[0] not in allowed)
        return next((self.refusal(name, ascii(one), " and ".join(allowed) or "none") for one in refused), "")


def in_force(path: Path | None = None) -> CompanyPolicy | None:
    """As `load`, but where the file cannot be used, a policy with an `error`, under which nothing is rewritten."""
    try:
        return load(path)
    except PolicyError as error:
        file = path or POLICY_FILE
        return CompanyPolicy(file, _is_locked(file), error=str(error))


def load(path: Path | None = None) -> CompanyPolicy | None:
    """Read the policy from `path`, or from `POLICY_FILE`; None if there is none.

    Raises:
        PolicyError: it cannot be read, or says what is not possible.

    """
    file = path or POLICY_FILE
    try:
        text = file.read_bytes().decode()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PolicyError(f"{file}: {error.strerror or type(error).__name__}") from None
    except UnicodeDecodeError:
        raise PolicyError(f"{file}: it is not UTF-8") from None
    try:
        said = tomllib.loads(text)
        values = {key: _reader(key)(key, value) for key, value in said.items()}
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        raise PolicyError(f"{file}: {' '.join(str(error).split())[:_LONGEST]}") from None
    policy = CompanyPolicy(file, _is_locked(file), **values)
    if policy.mode is not None and policy.mode not in policy.listed_modes():
        raise PolicyError(f"{file}: mode: {policy.mode!a} is not among the modes that are allowed")
    return policy


# What may stand in the file. Each reader takes a key and a value and raises ValueError with a phrase for a person.

_LONGEST = 200  # characters of a phrase


def _reader(key: str) -> Callable[[str, Any], Any]:
    if key in _KEYS:
        return _KEYS[key]
    nearest = difflib.get_close_matches(key, _KEYS, n=1, cutoff=0)[0]
    raise ValueError(f"{_shown(key)} is no such key; the nearest is {nearest}")


def _modes(key: str, value: object) -> frozenset[str]:
    modes = frozenset(_mode(key, mode) for mode in _strings(key, value))
    if not modes:
        raise ValueError(f"{key}: there must be at least one")
    return modes


def _mode(key: str, value: object) -> str:
    if isinstance(value, str) and value in list(Mode):
        return value
    raise ValueError(f"{key}: {_shown(value)} is not possible; allowed are {', '.join(Mode)}")


def _hosts(key: str, value: object) -> tuple[str, ...]:
    hosts = set()
    for given in _strings(key, value):
        host = host_rules.named_host(given)
        if not host:
            raise ValueError(f"{key}: {_shown(given)} is not possible; allowed are {host_rules.NAMED_HOSTS}")
        hosts.add(host)
    return tuple(sorted(host for host in hosts if not host_rules.is_foundry_host(host)))


def _providers(key: str, value: object) -> tuple[str, ...]:
    named = set(_strings(key, value))
    for one in sorted(named.difference(PROVIDERS)):
        raise ValueError(f"{key}: {_shown(one)} is not possible; allowed are {', '.join(PROVIDERS)}")
    return tuple(sorted(named))


def _strings(key: str, value: object) -> list[str]:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise ValueError(f"{key}: {_shown(value)} is not possible; allowed is a list of texts")


def _truth(key: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError(f"{key}: {_shown(value)} is not possible; allowed are true and false")


def _whole(possible: range) -> Callable[[str, object], int]:
    def read(key: str, value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and value in possible:
            return value
        raise ValueError(
            f"{key}: {_shown(value)} is not possible; allowed is a whole number from {possible.start} to {possible[-1]}"
        )

    return read


def _share(key: str, value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 100:  # noqa: PLR2004 - percent
        return round(value, HOLDOUT_DECIMALS) / 100
    raise ValueError(f"{key}: {_shown(value)} is not possible; allowed is a percentage from 0 to 100")


_KEYS: Mapping[str, Callable[[str, Any], Any]] = {
    "modes": _modes,
    "mode": _mode,
    "extra_hosts": _hosts,
    "may_add_hosts": _truth,
    "providers": _providers,
    "keep_days": _whole(KEEP_DAYS),
    "keep_mb": _whole(KEEP_MB),
    "holdout": _share,
}


def _shown(value: object) -> str:
    """`value` on one line and short, whatever is in it."""
    shown = ascii(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}…"  # noqa: PLR2004 - a line that a person reads


# Who could change the file


def _is_locked(file: Path) -> bool:
    """Whether this process could neither change the file nor put another in its place, as far as can be told."""
    try:
        if not hasattr(os, "geteuid"):  # Windows: the file's own permissions; those of its folders are not looked at
            return not _can_open(file)
        real = file.resolve()
        places = {file, *file.parents, real, *real.parents}
        return not any(_can_change(place) for place in places)
    except OSError:
        return False  # nothing can be told


def _can_change(place: Path) -> bool:
    status = place.lstat()
    if os.geteuid() in (0, status.st_uid):  # an owner can give himself what he lacks
        return True
    if stat.S_ISLNK(status.st_mode):  # it has no permissions of its own; what it leads to is looked at by itself
        return False
    # Where the sticky bit is set, as in /tmp, only who owns an entry may replace it, and owners are looked at.
    sticky = stat.S_ISDIR(status.st_mode) and bool(status.st_mode & stat.S_ISVTX)
    return not sticky and os.access(place, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _can_open(file: Path) -> bool:
    try:
        with file.open("r+b"):
            return True
    except PermissionError:
        return False

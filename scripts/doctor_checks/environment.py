"""The Python environment: the version of Python, the packages, the token ranks.

Uses the standard library only, so that it can tell what is wrong where nothing else can be imported.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import platform
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path

from doctor_checks.finding import Finding, failed, ok, warning

__all__ = ["EnvironmentState", "check"]

MAKE_IT = "start scripts/make_ca, which makes it"
MAKE_IT_ANEW = "delete the folder .venv in the project and start scripts/make_ca, which makes it anew"

LEAST = (12, 2, 3)
LESS_THAN = (12, 3)
_REQUIRED = "12.2.3 or newer and older than 12.3"
_WHY_NOT_OLDER = "the addon is made for what 12.2.3 does, and tested with that"
_WHY_NOT_NEWER = "12.3 needs a certifi that not every package index has, and holds the key of a compromised authority"

PACKAGES = ("tiktoken", "msgspec", "platformdirs", "cryptography", "certifi")
"""What the addon and the scripts import, besides mitmproxy."""

RANKS = Path("addons/compression_engine/ranks/fb374d419588a4632f3f557e76b4b70aebbca790")
RANKS_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
"""The one that tiktoken itself compares with. It would download the file again where it differs."""


class EnvironmentState(StrEnum):
    """What scripts/doctor found where the environment should be."""

    CURRENT = "current"
    OUTDATED = "outdated"  # made from other versions of pyproject.toml and constraints.txt
    MISSING = "missing"  # none, or its Python does not start or is too old; another Python runs the checks


def check(project: Path, state: EnvironmentState) -> Iterator[Finding]:
    """The findings for the environment that this process runs in."""
    yield judge_python(platform.python_version(), sys.prefix, state)
    yield judge_mitmproxy(_mitmproxy_version())
    yield judge_packages(missing_packages(PACKAGES))
    yield judge_ranks(project / RANKS)


def judge_python(version: str, place: str, state: EnvironmentState) -> Finding:
    """`version` of the Python that runs, and the environment that is its `place`."""
    name = "Python"
    if state is EnvironmentState.MISSING:
        detail = f"the environment in .venv is not there or does not start; looked with Python {version} of {place}"
        return failed(name, detail, MAKE_IT)
    if state is EnvironmentState.OUTDATED:
        detail = f"{version}, but {place} was made from other versions than are asked for now"
        return warning(name, detail, "start scripts/make_ca, which brings it up to date")
    return ok(name, f"{version} in {place}")


def judge_mitmproxy(version: str | None) -> Finding:
    """`version` as its package says; None: it is not there."""
    name = "mitmproxy"
    if version is None:
        return failed(name, "is not there, or not whole", MAKE_IT_ANEW)
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    if numbers < LEAST:
        return failed(name, f"{version}, but must be {_REQUIRED}: {_WHY_NOT_OLDER}", MAKE_IT_ANEW)
    if numbers >= LESS_THAN:
        return failed(name, f"{version}, but must be {_REQUIRED}: {_WHY_NOT_NEWER}", MAKE_IT_ANEW)
    return ok(name, version)


def judge_packages(missing: Iterable[str]) -> Finding:
    """`missing`: the packages that cannot be imported."""
    names = ", ".join(missing)
    if names:
        return failed("packages", f"cannot be imported: {names}", MAKE_IT_ANEW)
    return ok("packages", ", ".join(PACKAGES))


def judge_ranks(file: Path) -> Finding:
    """Whether the `file` of o200k_base is what it should be."""
    name = "token ranks"
    remedy = f"bring {RANKS} back: git checkout -- {RANKS}"
    try:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        return failed(name, f"cannot be read ({error.strerror}), so that tokens cannot be counted", remedy)
    if digest != RANKS_SHA256:
        return failed(name, "are not the published ones, so that tokens cannot be counted", remedy)
    return ok(name, "o200k_base, whole")


def missing_packages(names: Iterable[str], load: Callable[[str], object] = importlib.import_module) -> list[str]:
    """Those of `names` that cannot be imported, for whatever reason."""
    missing = []
    for name in names:
        try:
            load(name)
        except Exception:  # noqa: BLE001 - a package that is there and broken raises anything
            missing.append(name)
    return missing


def _mitmproxy_version() -> str | None:
    if missing_packages(["mitmproxy.http"]):
        return None
    try:
        return importlib.metadata.version("mitmproxy")
    except importlib.metadata.PackageNotFoundError:
        return None

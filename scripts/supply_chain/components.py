"""The distributions that are installed for the project to run: those that it names, and what these need in turn."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = ["Component", "MissingError", "installed", "project_version"]


class MissingError(Exception):
    """Something that the project needs is not installed; the message is one line that says what."""


@dataclass(frozen=True, slots=True)
class Component:
    """An installed distribution. `needs` are the names of those that it needs itself.

    `is_optional`: the addon runs without it; a script or the metrics need it.
    """

    name: str
    version: str
    needs: tuple[str, ...]
    is_optional: bool
    distribution: metadata.Distribution


def project_version(project: Path) -> str:
    """The version in the `pyproject.toml` of `project`."""
    return str(_pyproject(project)["project"]["version"])


def installed(project: Path, groups: Iterable[str] = ()) -> list[Component]:
    """Those that the project in this folder needs, and those that its dependency groups name, by name.

    Raises MissingError.
    """
    pyproject = _pyproject(project)
    required = _with_all_below(pyproject["project"]["dependencies"])
    optional = _with_all_below(line for group in groups for line in _of_group(pyproject["dependency-groups"], group))
    return sorted(
        (
            Component(name, one.version, tuple(sorted(_needs(one))), name not in required, one)
            for name, one in (optional | required).items()
        ),
        key=lambda component: component.name,
    )


def _pyproject(project: Path) -> dict[str, Any]:
    return tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))


def _of_group(groups: dict[str, Any], name: str) -> Iterator[str]:
    for line in groups[name]:
        if isinstance(line, str):
            yield line
        else:
            yield from _of_group(groups, line["include-group"])


def _with_all_below(lines: Iterable[str]) -> dict[str, metadata.Distribution]:
    """The distributions that requirements name, and all that these need, by name."""
    found: dict[str, metadata.Distribution] = {}
    extras: dict[str, set[str]] = {}
    waiting = [one for line in lines for one in _wanted(line)]
    while waiting:
        name, more = waiting.pop()
        if name in found and more <= extras[name]:
            continue
        extras.setdefault(name, set()).update(more)
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            raise MissingError(f"{name} is not installed: scripts/test sets up what is needed") from None
        waiting += [one for line in found[name].requires or () for one in _wanted(line, extras[name])]
    return found


def _needs(distribution: metadata.Distribution) -> set[str]:
    return {name for line in distribution.requires or () for name, _ in _wanted(line)}


def _wanted(line: str, extras: Iterable[str] = ()) -> Iterator[tuple[str, frozenset[str]]]:
    """Name and extras of what a requirement is of, unless its condition does not hold here, with these `extras`."""
    requirement = Requirement(line)
    marker = requirement.marker
    if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
        yield canonicalize_name(requirement.name), frozenset(requirement.extras)

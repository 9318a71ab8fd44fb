"""The commands: `bill` writes the bill of materials, `check` looks at licences and advisories."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from supply_chain.advisories import audit
from supply_chain.bill import bill_of, faults_in
from supply_chain.components import Component, MissingError, installed, project_version
from supply_chain.licences import is_allowed, licence_of

__all__ = ["main"]

PROJECT = Path(__file__).resolve().parents[2]
GROUPS = ("metrics", "redis", "report")
"""Dependency groups whose packages are there where they are wanted, besides what the addon always needs."""

DONE, FOUND, FAILED = 0, 1, 2


def main(arguments: Sequence[str]) -> int:
    """Run a command; return the exit code: 0, 1 if something is wrong with a component, 2 if it could not be told."""
    parser = argparse.ArgumentParser(
        prog="sbom",
        description="Write which packages the project runs on, with versions and licences, as CycloneDX 1.6 JSON.",
    )
    parser.add_argument("file", nargs="?", type=Path, help="where to write it (default: standard output)")
    parser.add_argument(
        "--check", action="store_true", help="write nothing: check each package's licence, and ask for advisories"
    )
    parser.add_argument("--offline", action="store_true", help="with --check: ask nobody for advisories")
    given = parser.parse_args(arguments)
    try:
        components = installed(PROJECT, GROUPS)
    except MissingError as error:
        return _fail(str(error))
    if given.check:
        return _check(components, offline=given.offline)
    bill = bill_of(project_version(PROJECT), components)
    if faults := faults_in(bill):
        return _fail(f"the bill is not as its schema has it: {faults}")
    if given.file is None:
        print(bill)
        return DONE
    try:
        given.file.write_text(f"{bill}\n", encoding="utf-8")
    except OSError as error:
        return _fail(f"{given.file} cannot be written: {error.strerror}")
    return DONE


def _check(components: Sequence[Component], *, offline: bool) -> int:
    refused = [(one, licence_of(one.distribution)) for one in components]
    refused = [(one, licence) for one, licence in refused if not is_allowed(licence)]
    for one, licence in refused:
        print(
            f"licence: {one.name} {one.version} is under {licence or 'none that it states'}, which is not on the list"
        )
    if not refused:
        print(f"licences: {len(components)} packages, all under licences on the list")
    if offline:
        return FOUND if refused else DONE
    made = audit(components)
    for weakness in made.weaknesses:
        print(f"advisory: {weakness}")
    if not made.was_made:
        print(f"advisories: NOT CHECKED: {made.why_not}")
    elif made.unknown:
        print(f"advisories: NOT CHECKED for {', '.join(made.unknown)}, which the service does not know")
    elif not made.weaknesses:
        print(f"advisories: none against {len(components)} packages")
    return FOUND if refused or made.weaknesses else DONE


def _fail(line: str) -> int:
    print(f"sbom: {line}", file=sys.stderr)
    return FAILED

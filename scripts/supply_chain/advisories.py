"""Which known weaknesses the installed versions have, as pip-audit is told by a service on the network.

Where no service answers, or one does not know the packages (an index that is a mirror knows files and no advisories),
that is told apart from "nothing is known against them": a check that did not happen is not one that was passed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from supply_chain.components import Component

__all__ = ["SERVICES", "Audit", "audit"]

SERVICES = ("pypi", "osv")
"""As pip-audit calls them, in the order in which they are asked."""

_PIP_AUDIT = [sys.executable, "-I", "-m", "pip_audit", "--no-deps", "--disable-pip", "--progress-spinner", "off"]
_ANSWER_SECONDS = 10
_SECONDS = 120.0


class Audit(NamedTuple):
    """What came of it: whether anybody could be asked, one line for each weakness, and names nobody knew."""

    was_made: bool
    weaknesses: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    why_not: str = ""


type Ask = Callable[[str, Sequence[Component]], list[dict[str, Any]] | None]
"""What a service says of components: pip-audit's `dependencies`; None if it said nothing."""


def audit(components: Sequence[Component], ask: Ask | None = None) -> Audit:
    """Ask the services in their order, of one component first; the first that knows it is asked of all."""
    ask = ask or _ask
    reasons = []
    for service in SERVICES:
        said = ask(service, components[:1])
        if said is None:
            reasons.append(f"{service} did not answer")
        elif not any("vulns" in one for one in said):
            reasons.append(f"what answers for {service} keeps no advisories")
        elif (said := ask(service, components)) is None:
            reasons.append(f"{service} stopped answering")
        else:
            return Audit(
                was_made=True,
                weaknesses=tuple(_line(one, weakness) for one in said for weakness in one.get("vulns", ())),
                unknown=tuple(one["name"] for one in said if "vulns" not in one),
            )
    return Audit(was_made=False, why_not="; ".join(reasons))


def _line(of: dict[str, Any], weakness: dict[str, Any]) -> str:
    fixed = ", ".join(weakness.get("fix_versions", ())) or "no version yet"
    return f"{of['name']} {of['version']}: {weakness['id']}, mended in {fixed}"


def _ask(service: str, components: Sequence[Component], *more: str) -> list[dict[str, Any]] | None:
    """See `Ask`. `more` are further arguments of pip-audit's."""
    with tempfile.TemporaryDirectory(prefix="foundry-audit-") as folder:
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text("".join(f"{one.name}=={one.version}\n" for one in components), encoding="utf-8")
        argv = [*_PIP_AUDIT, "--requirement", str(wanted), "--vulnerability-service", service, "--format", "json"]
        argv += ["--timeout", str(_ANSWER_SECONDS), "--cache-dir", folder, *more]
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False)
            said = json.loads(done.stdout)["dependencies"]
        except (subprocess.TimeoutExpired, ValueError, KeyError):
            return None
    return said if isinstance(said, list) else None

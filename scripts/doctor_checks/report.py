"""The findings as text for a person, or as JSON. Neither ever holds a key, a token or a password."""

from __future__ import annotations

import json
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from urllib.parse import unquote, urlsplit

from doctor_checks.finding import Finding, Verdict

__all__ = ["as_json", "as_text", "summary", "without_secrets"]

_COLOURS = {Verdict.OK: "32", Verdict.WARNING: "33", Verdict.FAILED: "1;31", Verdict.SKIPPED: "2"}
_VERDICT_WIDTH = max(len(verdict) for verdict in Verdict) + 2
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL|AUTH", re.IGNORECASE)
_LEAST_SECRET = 8  # characters: shorter ones would take ordinary words out


def as_text(findings: Sequence[Finding], width: int | None, *, colour: bool) -> Iterator[str]:
    """One line a finding, folded to `width` characters; None: not folded."""
    name_width = max((len(finding.name) for finding in findings), default=0) + 2
    indent = " " * (_VERDICT_WIDTH + name_width)
    for finding in findings:
        said = f"{finding.detail} → {finding.remedy}" if finding.remedy else finding.detail
        line = f"{finding.verdict:<{_VERDICT_WIDTH}}{finding.name:<{name_width}}{said}"
        if width and width > len(indent) + 20:
            line = textwrap.fill(
                line,
                width,
                subsequent_indent=indent,
                break_long_words=False,
                break_on_hyphens=False,
                drop_whitespace=True,
            )
        if colour:
            line = f"\x1b[{_COLOURS[finding.verdict]}m{finding.verdict}\x1b[0m{line[len(finding.verdict) :]}"
        yield line


def summary(findings: Iterable[Finding]) -> str:
    """The last line."""
    counts = Counter(finding.verdict for finding in findings)
    if not counts[Verdict.FAILED] and not counts[Verdict.WARNING]:
        return "Everything that was looked at works."
    parts = []
    if failures := counts[Verdict.FAILED]:
        parts.append(f"{failures} failed")
    if warnings := counts[Verdict.WARNING]:
        parts.append(f"{warnings} warning{'' if warnings == 1 else 's'}")
    return f"{', '.join(parts)}; what to do stands behind each →."


def as_json(findings: Iterable[Finding], verdict: Verdict) -> str:
    """One document, ASCII."""
    return json.dumps({"verdict": verdict, "checks": [asdict(finding) for finding in findings]}, indent=2)


def without_secrets(finding: Finding, variables: Mapping[str, str]) -> Finding:
    """`finding` without anything that `variables` hold secret. No check says such a thing; this makes sure."""
    detail, remedy = finding.detail, finding.remedy
    for secret in sorted(secrets(variables), key=len, reverse=True):  # one may be a part of another
        detail, remedy = detail.replace(secret, "…"), remedy.replace(secret, "…")
    return replace(finding, detail=detail, remedy=remedy)


def secrets(variables: Mapping[str, str]) -> set[str]:
    """The values of variables whose names say so, and the passwords in those that are URLs."""
    found = set()
    for name, value in variables.items():
        if _SECRET_NAME.search(name):
            found.add(value)
        if "@" in value:
            try:
                password = urlsplit(value if "://" in value else f"http://{value}").password or ""
            except ValueError:
                continue
            found |= {password, unquote(password)}
    return {secret for secret in found if len(secret) >= _LEAST_SECRET}

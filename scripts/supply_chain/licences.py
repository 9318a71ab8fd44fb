"""Under which licence a distribution is, as it says itself, and whether that is one that the project may build on.

What may be relied on is listed here as SPDX names. Anything else is for a person to look at, and to add to the list.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

from license_expression import ExpressionError, get_spdx_licensing  # type: ignore[import-untyped]  # it has no types

__all__ = ["ALLOWED", "UNKNOWN", "is_allowed", "licence_of"]

UNKNOWN = ""
"""The licence of a distribution that does not say it in any way that is understood."""

ALLOWED = frozenset(
    {
        *("Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CNRI-Python", "ISC", "MIT", "MIT-0", "PSF-2.0"),
        "MPL-2.0",  # changes to its own files would have to be published: certifi's list, and public suffixes
        # Libraries of mitmproxy's that are installed unchanged, and that anybody can replace: ldap3 and urwid.
        *("LGPL-2.1-only", "LGPL-3.0-only"),
    }
)
"""SPDX names of licences that ask no more of the project than to name them."""

_SPDX = get_spdx_licensing()
# What some say in the field `License`, which has no form of its own, and as a classifier.
_OTHER_NAMES = {
    "apache 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "lgpl v3": "LGPL-3.0-only",
}
_CLASSIFIERS = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
_LICENCE_FILES = ("LICENSE", "LICENCE", "COPYING")


def licence_of(distribution: metadata.Distribution) -> str:
    """Its licence as an SPDX expression; `UNKNOWN` where it says none, or says several things.

    What is most exact counts: the expression, then the older field, then the text of its one licence file, then its one
    classifier.
    """
    said = distribution.metadata
    return next(
        (
            expression
            for text in (
                said.get("License-Expression", ""),
                said.get("License", ""),
                _of_file(distribution),
                _of_classifiers(said.get_all("Classifier") or []),
            )
            if (expression := _expression(text))
        ),
        UNKNOWN,
    )


def is_allowed(expression: str) -> bool:
    """Whether the project may build on what is under this licence: all its parts, or one that may be chosen."""
    return bool(expression) and any(choice <= ALLOWED for choice in _choices(expression))


def _choices(expression: str) -> Iterator[set[str]]:
    """The sets of licences of which one has to be kept to."""
    parsed = _SPDX.dnf(_SPDX.parse(expression))
    for part in parsed.args if isinstance(parsed, _SPDX.OR) else (parsed,):
        yield {str(symbol) for symbol in _SPDX.license_symbols(part, decompose=False)}


def _expression(text: str) -> str:
    """What `text` says in SPDX's own spelling; empty where that is not understood."""
    text = _OTHER_NAMES.get(text.strip().lower(), text.strip())
    if not text or "\n" in text:
        return ""
    try:
        return str(_SPDX.parse(text, validate=True))
    except ExpressionError:
        return ""


def _of_file(distribution: metadata.Distribution) -> str:
    """What the licence files say, if they all say the same."""
    files = [file for file in distribution.files or () if file.name.upper().startswith(_LICENCE_FILES)]
    names = {_of_text(file.read_text(encoding="utf-8")) for file in files}
    return names.pop() if len(names) == 1 else ""


def _of_text(text: str) -> str:
    """The licence that a text is, known by words that no other has."""
    text = " ".join(text.split())
    if "Permission is hereby granted, free of charge, to any person obtaining a copy" in text:
        return "MIT"
    if "Redistribution and use in source and binary forms" in text:
        return "BSD-3-Clause" if "may be used to endorse or promote products" in text else "BSD-2-Clause"
    return ""


def _of_classifiers(classifiers: list[str]) -> str:
    names = {_CLASSIFIERS.get(one, "") for one in classifiers if one.startswith("License :: ")}
    return names.pop() if len(names) == 1 else ""

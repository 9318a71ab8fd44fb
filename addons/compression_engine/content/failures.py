"""Lines that tell of a failure, or where it is. They stay readable in place, whatever is left out around them."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["find", "find_locations"]

# In doubt a line tells of a failure: what is kept too often costs tokens, what is left out wrongly costs an answer.
_WORDS = (
    "error",
    "fail",
    "panic",
    "exception",
    "traceback",
    "fatal",
    "assert",
    "denied",
    "refused",
    "not found",
    "cannot",
    "can't",
    "unable",
    "abort",
    "segfault",
    "segmentation",
    "undefined",
    "timed out",
    "timeout",
    "killed",
    "\u2717",  # crosses, as test runners and linters print them
    "\u2718",
    "\u2716",
    "\u00d7",
    "\u274c",
)
# pytest shows what it compared behind an `E`.
_COMPARED = ("E ", "E\t")
_LOCATION = re.compile(r"\.\w{1,4}:\d")


def find(lines: Sequence[str]) -> list[bool]:
    """For each of `lines` whether it may tell of a failure."""
    whole = "\n".join(lines).lower()
    words = [word for word in _WORDS if word in whole]
    if not words:
        return [line.startswith(_COMPARED) for line in lines]
    # Of few characters are there more in lower case, and none of these is a line end.
    return [
        line.startswith(_COMPARED) or any(word in low for word in words)
        for line, low in zip(lines, whole.split("\n"), strict=True)
    ]


def find_locations(lines: Sequence[str]) -> list[bool]:
    """For each of `lines` whether it names a line of a source file, as compilers and failing tests do."""
    return [":" in line and _LOCATION.search(line) is not None for line in lines]

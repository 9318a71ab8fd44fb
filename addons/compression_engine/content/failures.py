"""Lines that tell of a failure, or where it is. They stay readable in place, whatever is left out around them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

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
    "no such",
    "err!",
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
    whole = "\n".join(lines)
    found = [False] * len(lines)
    if any(f"\n{mark}" in f"\n{whole}" for mark in _COMPARED):
        found = [line.startswith(_COMPARED) for line in lines]
    # Of few characters are there more in lower case, and none of these is a line end.
    whole = whole.lower()
    words = [word for word in _WORDS if word in whole]
    ends = _ends(whole) if words else []
    for word in words:
        at = whole.find(word)
        while at >= 0:
            line = bisect_right(ends, at)
            found[line] = True
            at = whole.find(word, ends[line])
    return found


def find_locations(lines: Sequence[str]) -> list[bool]:
    """For each of `lines` whether it names a line of a source file, as compilers and failing tests do."""
    whole = "\n".join(lines)
    places = [location.start() for location in _LOCATION.finditer(whole)]
    found = [False] * len(lines)
    ends = _ends(whole) if places else []
    for place in places:
        found[bisect_right(ends, place)] = True
    return found


def _ends(whole: str) -> list[int]:
    """Where the lines of `whole` end, behind their line ends."""
    return list(accumulate([len(line) + 1 for line in whole.split("\n")]))

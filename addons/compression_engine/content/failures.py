"""Lines that tell of a failure. They stay readable where they stand, whatever else is left out around them."""

from __future__ import annotations

import re

__all__ = ["is_failure", "is_location"]

_FAILURE = re.compile(
    r"^E\s|error|fail|panic|exception|traceback|fatal|assert|denied|refused|not found|cannot|can't|unable|abort"
    r"|segfault|segmentation|undefined|timed? ?out|killed|[✗✘✖❌\u00d7]",
    re.IGNORECASE,
)


_LOCATION = re.compile(r"[\w-]\.\w{1,4}:\d+")


def is_location(line: str) -> bool:
    """Whether `line` names a line of a source file, as compilers and failing tests do to tell where and why."""
    return _LOCATION.search(line) is not None


def is_failure(line: str) -> bool:
    """Whether `line` may tell of a failure; in doubt it does."""
    return _FAILURE.search(line) is not None

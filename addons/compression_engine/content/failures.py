"""Lines that tell of a failure. They stay readable where they stand, whatever else is left out around them."""

from __future__ import annotations

import re

__all__ = ["is_failure"]

_FAILURE = re.compile(
    r"error|fail|panic|exception|traceback|fatal|assert|denied|refused|not found|cannot|can't|unable|abort"
    r"|segfault|segmentation|undefined|timed? ?out|killed|[✗✘✖❌\u00d7]",
    re.IGNORECASE,
)


def is_failure(line: str) -> bool:
    """Whether `line` may tell of a failure; in doubt it does."""
    return _FAILURE.search(line) is not None

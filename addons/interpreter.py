"""How Python shares out its one turn among threads, and when it looks for garbage: no stream is to wait for either."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

__all__ = ["SWITCH_SECONDS", "tune"]

SWITCH_SECONDS = 0.0005
"""How long a thread that wants its turn waits for one that works; Python's own is 5 ms."""


def tune() -> Callable[[], None]:
    """Set both, once all is loaded, and return what sets them back.

    What has been loaded stays. To look through it for what can go holds up all requests, and frees nothing.
    """
    before = sys.getswitchinterval()
    gc.freeze()
    sys.setswitchinterval(SWITCH_SECONDS)

    def set_back() -> None:
        gc.unfreeze()
        sys.setswitchinterval(before)

    return set_back

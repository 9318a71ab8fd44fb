"""How the scripts end that print something for a person: what errors, a closed pipe or Ctrl-C make of them.

Nothing here needs a package until it is used: `scripts/doctor` looks at environments in which some are missing.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["console", "run"]

_INTERRUPTED = 130
_WIDTH_OF_FILES = 120


def run(name: str, act: Callable[[], int | None], codes: Mapping[type[Exception], int]) -> int:
    """The exit code of the script `name` that does `act` and prints: what `act` returns, None stands for 0.

    An exception of `codes` becomes one line on standard error, and its code.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a locale without some character is no reason to stop
    try:
        return act() or 0
    except tuple(codes) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return next(code for kind, code in codes.items() if isinstance(error, kind))
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # `scripts/report | head`: nothing is left to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def console() -> Console:
    """Where tables go. What is not a terminal has no width of its own, and they are not to be folded there."""
    from rich.console import Console  # noqa: PLC0415 - see the module's docstring

    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=_WIDTH_OF_FILES)

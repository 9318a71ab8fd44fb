"""What every hook runs in: mitmproxy leaves a client without an answer when anything of ours gets out of a hook."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from notices import Notices, where_it_broke

__all__ = ["fail_open"]


@contextlib.contextmanager
def fail_open(notices: Notices, hook: str) -> Iterator[None]:
    """Let `notices` tell of whatever is raised in here, and go on behind it; `hook` is where, for a person.

    Only what ends mitmproxy passes. Native code that panics raises outside `Exception`, so that is caught as well.
    """
    try:
        yield
    except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - see the module's docstring
        notices.failure(hook, where_it_broke(error))

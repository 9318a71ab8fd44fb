"""A mitmproxy script that disturbs the addon while it works, as the lines of $RESTLESS say.

`mitmproxy`'s options that a line names are set as `name=value`; `clock=seconds` sets the machine's clock forward by so
much, as far as this process can tell; `disk=seconds` lets everything that SQLite writes for a request wait;
`rest=seconds` is how long a file that could not be used is left alone. How many lines it has followed stands in
$RESTLESS.done. While there is a file $RESTLESS.held, what SQLite writes for a request waits as well, and says so in
$RESTLESS.waits. It must stand in front of the addon.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from mitmproxy import ctx

_ORDERS = Path(os.environ["RESTLESS"])
_DONE, _HELD, _WAITS = (Path(f"{_ORDERS}.{name}") for name in ("done", "held", "waits"))
_EVERY = 0.02
_real_time = time.time
_now = {"clock": 0.0, "disk": 0.0}

time.time = lambda: _real_time() + _now["clock"]


def _slow_down() -> None:
    from conversations import SQLiteStore  # noqa: PLC0415 - the addon puts it on the path

    save = SQLiteStore.save

    def slow(self: SQLiteStore, *args: Any, **kwargs: Any) -> bool:
        time.sleep(_now["disk"])
        while _HELD.exists():
            _WAITS.touch()
            time.sleep(_EVERY)
        return save(self, *args, **kwargs)

    SQLiteStore.save = slow  # type: ignore[method-assign]


def _rest(seconds: float) -> None:
    from conversations import failsafe_store  # noqa: PLC0415 - as above

    failsafe_store._REST_SECONDS = seconds


def _lines() -> list[str]:
    return _ORDERS.read_text().splitlines() if _ORDERS.exists() else []


def _tell(done: int) -> None:
    _DONE.write_text(str(done))


async def _watch() -> None:
    done = 0
    while True:
        await asyncio.sleep(_EVERY)
        lines = _lines()
        for line in lines[done:]:
            name, _, value = line.partition("=")
            if name in _now:
                _now[name] = float(value)
            elif name == "rest":
                _rest(float(value))
            else:
                ctx.options.update(**{name: value})
        if len(lines) > done:
            done = len(lines)
            _tell(done)


class _Restless:
    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    def running(self) -> None:
        _slow_down()
        self._task = asyncio.create_task(_watch())


addons = [_Restless()]

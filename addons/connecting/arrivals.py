"""Who comes to this proxy: says so, once, when nobody comes, or only clients of other hosts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from notices import Notices

__all__ = ["NOBODY_SECONDS", "ONLY_OTHERS_SECONDS", "Arrivals"]

ONLY_OTHERS_SECONDS = 60.0
"""How long after the first connection to another host a missing one to Foundry is worth a line."""

NOBODY_SECONDS = 300.0
"""How long after start a missing client is."""


class Arrivals:
    """`is_on` tells whether clients of Foundry are looked for at all, `setting` what would lead them here."""

    def __init__(self, notices: Notices, is_on: Callable[[], bool], setting: Callable[[], str]) -> None:
        self._notices = notices
        self._is_on = is_on
        self._setting = setting
        self._timers: list[asyncio.TimerHandle] = []
        self._foundry = False
        self._others = 0

    def watch(self) -> None:
        """The proxy runs from now on."""
        self._later(NOBODY_SECONDS, self.nobody_came)

    def stop(self) -> None:
        """Let go of the timers."""
        for timer in self._timers:
            timer.cancel()

    def foundry(self) -> None:
        """A client of Foundry came."""
        self._foundry = True

    def other(self) -> None:
        """A client of another host came."""
        self._others += 1
        if self._others == 1:
            self._later(ONLY_OTHERS_SECONDS, self.only_others)

    def only_others(self) -> None:
        """Say so if only clients of other hosts have come."""
        if not self._foundry and self._is_on():
            self._notices.only_other_hosts(self._others)

    def nobody_came(self) -> None:
        """Say so if no client has come."""
        if not self._foundry and not self._others and self._is_on():
            self._notices.nobody_came(self._setting())

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(seconds, act))

"""A stand-in that serves Foundry at another path as well, as a gateway does."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Any

from demo.answers import Refusal, events
from demo.stand_in import Request, StandIn

__all__ = ["DRIP", "PREFIX", "Gateway"]

PREFIX = "/team-a"
"""In front of Foundry's own paths."""

DRIP = "/drip"
"""A path whose answer is a stream of two events; the second waits until `Gateway.go_on` is set."""

_PATIENCE = 60.0  # seconds, fewer than tests wait: whoever has the first half late gets no other


class Gateway(StandIn):
    """Foundry, at its own paths and behind `PREFIX`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.go_on = threading.Event()

    def elsewhere(self, request: Request) -> Refusal | dict[str, Any] | Iterable[bytes]:
        path = request.path.partition("?")[0]
        if path.endswith(DRIP):
            return self._drip()
        if path != f"{PREFIX}/anthropic/v1/messages":
            return super().elsewhere(request)
        answer = self.answer(request)
        if isinstance(answer, Refusal):
            return answer
        reply = self.reply(answer, request)
        return events(reply) if request.json.get("stream") else reply

    def _drip(self) -> Iterator[bytes]:
        yield b"event: first\n\n"
        if self.go_on.wait(_PATIENCE):
            yield b"event: second\n\n"

"""Bounds the flows that mitmweb and mitmproxy's console keep: they keep every one, for as long as they run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from mitmproxy import ctx
from mitmproxy.addons.view import View
from mitmproxy.http import HTTPFlow

from web_view.marks import PASSED

__all__ = ["FlowBound"]

# What a flow takes besides its bodies, by measurement: headers, timestamps, certificates, its place in the list.
_BESIDES = 20_000


class FlowBound:
    """A mitmproxy addon that gives up the oldest flows beyond `most` bytes; those that the user has marked stay."""

    def __init__(self, most: Callable[[], int]) -> None:
        self._most = most
        self._flows: deque[tuple[HTTPFlow, int]] = deque()
        self._size = 0

    def response(self, flow: HTTPFlow) -> None:
        """Count a flow that has come to its end."""
        self._add(flow)

    def error(self, flow: HTTPFlow) -> None:
        """Count a flow that has broken off."""
        self._add(flow)

    def _add(self, flow: HTTPFlow) -> None:
        view = ctx.master.addons.get("view")
        if not isinstance(view, View):
            return
        bodies = (message.raw_content for message in (flow.request, flow.response) if message)
        size = _BESIDES + sum(len(body) for body in bodies if body)
        self._flows.append((flow, size))
        self._size += size
        while self._size > self._most() and len(self._flows) > 1:
            oldest, size = self._flows.popleft()
            self._size -= size
            if oldest.marked in ("", PASSED):
                view.remove([oldest])

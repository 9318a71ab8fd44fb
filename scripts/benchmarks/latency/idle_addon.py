"""An addon that does nothing in the hooks that ours has: what they cost in any case."""

from __future__ import annotations

from mitmproxy import http


class Idle:
    """Looks at requests and lets responses pass while they come in, as ours does."""

    async def request(self, flow: http.HTTPFlow) -> None:
        """Look at the body."""
        _ = flow.request.content

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Let the response pass while it comes in."""
        assert flow.response  # noqa: S101 - there is one in this hook
        flow.response.stream = True

    def response(self, flow: http.HTTPFlow) -> None:
        """Do nothing."""


addons = [Idle()]

"""The parts of the view, as the addon uses them."""

from __future__ import annotations

from mitmproxy import contentviews
from mitmproxy.http import HTTPFlow
from mitmproxy.master import Master

from outcomes import REWRITTEN
from rewriting.treatment import Treatment
from web_view.conversation_view import ConversationView
from web_view.marks import mark
from web_view.pairs import Pair, Pairs
from web_view.rewrite_view import RewriteView

__all__ = ["WebView"]

_MOST_BYTES = 64 * 1024 * 1024


class WebView:
    """Tells people who look at flows what was done to them, and keeps bodies for that."""

    def __init__(self) -> None:
        self.pairs = Pairs(_MOST_BYTES)
        """The bodies that are kept."""

    def is_on(self, master: Master) -> bool:
        """Whether flows can be looked at: in mitmweb and in the console, not in mitmdump."""
        return master.addons.get("view") is not None

    def register(self) -> None:
        """Add the content views; those of an earlier load of the script are replaced."""
        contentviews.add(RewriteView(self.pairs))
        contentviews.add(ConversationView())

    def treated(self, flow: HTTPFlow, treatment: Treatment, milliseconds: float) -> None:
        """Note what will be done to the request of `flow`, which still is as it came."""
        mark(flow, treatment, milliseconds)
        if treatment.outcome == REWRITTEN and treatment.body is not None:
            before = flow.request.get_content(strict=False) or b""
            self.pairs.put(flow.id, Pair(before, treatment.body, treatment.changes))

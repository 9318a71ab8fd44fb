"""A content view of any request to Foundry: the conversation, readable."""

from __future__ import annotations

from mitmproxy import contentviews
from mitmproxy.contentviews import Metadata

from web_view.printable import printable
from web_view.results import parsed
from web_view.transcript import transcript

__all__ = ["ConversationView"]

_ON_DEMAND = 0.05  # below mitmproxy's own views, also the raw one: it is chosen, and does not open by itself
_NEVER = -1.0
_MARKS = (b'"messages"', b'"input"')


class ConversationView(contentviews.Contentview):
    """Who said what, and what the tools answered."""

    @property
    def name(self) -> str:
        """As it stands in the menu."""
        return "Foundry-Conversation"

    @property
    def syntax_highlight(self) -> contentviews.SyntaxHighlight:
        """None: it shows text of any kind."""
        return "none"

    def render_priority(self, data: bytes, metadata: Metadata) -> float:
        """Low for requests that may hold a conversation; not at all for anything else."""
        is_request = metadata.http_message is not None and metadata.http_message is getattr(
            metadata.flow, "request", None
        )
        return _ON_DEMAND if is_request and any(mark in data for mark in _MARKS) else _NEVER

    def prettify(self, data: bytes, metadata: Metadata) -> str:  # noqa: ARG002 - the body is enough
        """The conversation; where there is none, that: mitmproxy shows errors as tracebacks."""
        return printable(transcript(parsed(data))) or "No conversation stands in this body.\n"

"""A content view of any request to Foundry: the conversation, readable."""

from __future__ import annotations

import json
from collections.abc import Iterator

from mitmproxy import contentviews
from mitmproxy.contentviews import Metadata

from web_view.results import parsed, texts_of

__all__ = ["ConversationView"]

_ON_DEMAND = 0.1  # below mitmproxy's own views: it is chosen, and does not open by itself
_NEVER = -1.0
_SHOWN = 1_500


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
        """Low for requests that hold messages; not at all for anything else."""
        is_request = metadata.http_message is not None and metadata.http_message is getattr(
            metadata.flow, "request", None
        )
        return _ON_DEMAND if is_request and b'"messages"' in data else _NEVER

    def prettify(self, data: bytes, metadata: Metadata) -> str:  # noqa: ARG002 - the body is enough
        """The conversation. Raises ValueError for what is none."""
        messages = parsed(data).get("messages")
        if not isinstance(messages, list):
            raise ValueError("no conversation stands in this body")  # noqa: TRY004 - as mitmproxy wants it
        return "\n".join(_message(number, message) for number, message in enumerate(messages, 1))


def _message(number: int, message: object) -> str:
    if not isinstance(message, dict):
        return f"══ {number}. no message"
    said = "\n".join(_said(message.get("content")))
    return f"══ {number}. {message.get('role', 'somebody')}\n{said}\n"


def _said(content: object) -> Iterator[str]:
    if isinstance(content, str):
        yield _cut(content)
        return
    for block in content if isinstance(content, list) else []:
        kind = block.get("type") if isinstance(block, dict) else None
        match kind:
            case "text":
                yield _cut(str(block.get("text", "")))
            case "thinking":
                yield f"(thinks) {_cut(str(block.get('thinking', '')))}"
            case "tool_use":
                yield f"→ {block.get('name')} {_cut(json.dumps(block.get('input'), ensure_ascii=False))}"
            case "tool_result":
                failed = " (failed)" if block.get("is_error") else ""
                yield f"←{failed} {_cut(chr(10).join(texts_of(block.get('content'))))}"
            case _:
                yield f"({kind or 'something else'})"


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}\n… {len(text) - _SHOWN:,} more characters"

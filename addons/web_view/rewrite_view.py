"""A content view of rewritten requests: each tool result as it came, beside how it went."""

from __future__ import annotations

import difflib

from mitmproxy import contentviews
from mitmproxy.contentviews import Metadata

from compression_engine import tokens
from web_view.pairs import Pair, Pairs
from web_view.results import Result, compared

__all__ = ["RewriteView"]

_BY_ITSELF = 10.0  # above mitmproxy's own views, which are at 1 and 2
_NEVER = -1.0
# A comparison takes time with the square of the lines, and is there to be read: beyond this both texts are shown.
_MOST_LINES = 600
_MOST_CHARACTERS = 60_000
_SHOWN = 4_000
_MOST_RESULTS = 60
_CONTEXT = 2


class RewriteView(contentviews.Contentview):
    """Opens by itself on requests of which `pairs` has the bodies."""

    def __init__(self, pairs: Pairs) -> None:
        self._pairs = pairs

    @property
    def name(self) -> str:
        """As it stands in the menu."""
        return "Foundry-Rewrite"

    @property
    def syntax_highlight(self) -> contentviews.SyntaxHighlight:
        """None: it shows text of any kind."""
        return "none"

    def render_priority(self, data: bytes, metadata: Metadata) -> float:
        """Above all others for a rewritten request; not at all for anything else."""
        return _BY_ITSELF if self._pair(data, metadata) else _NEVER

    def prettify(self, data: bytes, metadata: Metadata) -> str:
        """The results, the newest first. Raises ValueError for what is no rewritten request."""
        pair = self._pair(data, metadata)
        if pair is None:
            raise ValueError("nothing is known of how this request came: it was not rewritten, or too long ago")
        return _shown(pair)

    def _pair(self, data: bytes, metadata: Metadata) -> Pair | None:
        flow, message = metadata.flow, metadata.http_message
        if flow is None or message is None or message is not getattr(flow, "request", None):
            return None
        pair = self._pairs.get(flow.id)
        return pair if pair is not None and pair.after == data else None


def _shown(pair: Pair) -> str:
    results = [result for result in reversed(compared(pair)) if result.is_rewritten]
    removed = sum(change.tokens_before - change.tokens_after for change in pair.changes)
    heading = (
        f"{len(results)} tool results went in fewer tokens: {removed:,} fewer (o200k_base); the body "
        f"{len(pair.before):,} → {len(pair.after):,} bytes.\n"
        "All else in it is as the client sent it. The newest result comes first; - is what came, + what went.\n"
    )
    parts = [heading]
    parts += [_result(result) for result in results[:_MOST_RESULTS]]
    if len(results) > _MOST_RESULTS:
        parts.append(f"… and {len(results) - _MOST_RESULTS} older ones\n")
    return "\n".join(parts)


def _result(result: Result) -> str:
    change = result.change
    before, after = (change.tokens_before, change.tokens_after) if change else map(tokens.count, _both(result))
    kind = change.kind if change else "brought back, or set aside"
    heading = f"══ {result.number}. {result.tool or 'a tool'}: {result.label}"
    return f"{heading}\n   {kind}; {before:,} → {after:,} tokens\n{_difference(result)}\n"


def _both(result: Result) -> tuple[str, str]:
    return result.before, result.after


def _difference(result: Result) -> str:
    lines = [text.split("\n") for text in _both(result)]
    if max(map(len, lines)) > _MOST_LINES or max(map(len, _both(result))) > _MOST_CHARACTERS:
        came, went = (_cut(text) for text in _both(result))
        return f"-- as it came\n{came}\n++ as it went\n{went}"
    difference = difflib.unified_diff(lines[0], lines[1], lineterm="", n=_CONTEXT)
    return "\n".join(list(difference)[2:])


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}\n… {len(text) - _SHOWN:,} more characters"

"""A content view of rewritten requests: each tool result as it came, beside how it went.

mitmproxy asks for it on the thread that requests pass through, so what it may take is bounded.
"""

from __future__ import annotations

from mitmproxy import contentviews
from mitmproxy.contentviews import Metadata

from web_view.difference import cut, difference, lines_of
from web_view.pairs import Pair, Pairs
from web_view.printable import printable
from web_view.results import Result, compared

__all__ = ["RewriteView"]

_BY_ITSELF = 10.0  # above mitmproxy's own views, which are at 1 and 2
_NEVER = -1.0
# How many lines are compared in one view, newest results first; of the others the beginnings are shown.
_MOST_LINES = 6_000
_SHOWN = 1_000
_MOST_RESULTS = 100
_NUMBERED = "numbered-file"  # the kind of what lost line numbers


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
        """The results, the newest first; where nothing is known, that: mitmproxy shows errors as tracebacks."""
        pair = self._pair(data, metadata)
        if pair is None:
            return "Nothing is known of how this came: it was not rewritten, or so long ago that it is not kept.\n"
        return printable(_shown(pair))

    def _pair(self, data: bytes, metadata: Metadata) -> Pair | None:
        flow, message = metadata.flow, metadata.http_message
        if flow is None or message is None or message is not getattr(flow, "request", None):
            return None
        pair = self._pairs.get(flow.id)
        return pair if pair is not None and pair.after == data else None


def _shown(pair: Pair) -> str:
    results = [result for result in reversed(compared(pair)) if result.is_rewritten]
    parts = [_heading(pair, results)]
    room = _MOST_LINES
    for result in results[:_MOST_RESULTS]:
        room -= lines_of(result.before, result.after)
        parts.append(_result(result, is_compared=room >= 0))
    if len(results) > _MOST_RESULTS:
        parts.append(f"… and {len(results) - _MOST_RESULTS:,} older ones\n")
    return "\n".join(parts)


def _heading(pair: Pair, results: list[Result]) -> str:
    removed = sum(change.tokens_before - change.tokens_after for change in pair.changes)
    back = sum(result.is_brought_back for result in results)
    brought_back = f"{_number(back)} brought back.\n" if back else ""
    return (  # in lines that fit beside mitmweb's list
        f"{_number(len(results) - back)} went in fewer tokens: {removed:,} fewer (o200k_base).\n{brought_back}"
        f"The body: {len(pair.before):,} → {len(pair.after):,} bytes; all else in it is as it came.\n"
        "The newest result comes first; - is what came, + what went.\n"
    )


def _number(count: int) -> str:
    return "1 tool result" if count == 1 else f"{count:,} tool results"


def _result(result: Result, *, is_compared: bool) -> str:
    change = result.change
    is_numbered = change is not None and _NUMBERED in change.kind
    if change is not None:
        done = f"{change.kind}; {change.tokens_before:,} → {change.tokens_after:,} tokens"
    else:
        done = "brought back" if result.is_brought_back else "rewritten"
        done += f"; {len(result.before):,} → {len(result.after):,} characters"
    if not is_compared:
        came, went = (cut(text, _SHOWN, "\n") for text in (result.before, result.after))
        return f"══ {result.title}\n   {done}\n-- as it came\n{came}\n++ as it went\n{went}\n"
    if is_numbered:
        done += "\n   line numbers are not compared"
    text = difference(result.before, result.after, numbers_count=not is_numbered)
    return f"══ {result.title}\n   {done}\n{text}\n"

"""What the demo shows of each request: before and after, and whether all that the project claims is so."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from compression_engine import NotUnderstood, WireFormat, restore, tokens

__all__ = ["Exchange", "as_shown", "faults", "report"]

_NEWS_WIDTH = 46
_EXCERPT_LINES = 10
_EXCERPT_WIDTH = 100
_NEARLY = 0.9
_CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


@dataclass(frozen=True)
class Exchange:
    """One request as it was sent and as it arrived; `news` says what is new in it."""

    news: str
    sent_headers: tuple[tuple[str, str], ...]
    sent: bytes
    arrived_headers: tuple[tuple[str, str], ...]
    arrived: bytes

    @cached_property
    def tokens(self) -> tuple[int, int]:
        """o200k_base tokens of the texts that a model reads, before and after."""
        return _tokens(self.sent), _tokens(self.arrived)

    @cached_property
    def restored(self) -> bytes:
        """The arrived body with every statement undone, from that body alone."""
        try:
            return restore(self.arrived, WireFormat.ANTHROPIC_MESSAGES)
        except NotUnderstood:
            return self.arrived  # nothing could be undone

    @property
    def exactly_restored(self) -> bool:
        """Whether every byte came back."""
        return self.restored == self.sent

    @property
    def restored_as_shown(self) -> bool:
        """Whether every byte came back, but that terminal output came back as a terminal shows it."""
        return self.exactly_restored or _as_shown_body(self.restored) == _as_shown_body(self.sent)

    @property
    def headers_unchanged(self) -> bool:
        """Whether names, values and order of the headers arrived, but for the length of the body."""
        return _without_length(self.sent_headers) == _without_length(self.arrived_headers)


def faults(exchanges: list[Exchange]) -> list[str]:
    """Say in one line each what is not as the project claims."""
    found = []
    for number, exchange in enumerate(exchanges, 1):
        if not exchange.headers_unchanged:
            found.append(f"request {number}: the headers arrived changed")
        if not exchange.restored_as_shown:
            found.append(f"request {number}: what arrived does not restore to what was sent")
        if exchange.tokens[1] > exchange.tokens[0]:
            found.append(f"request {number}: more tokens arrived than were sent")
    if all(exchange.arrived == exchange.sent for exchange in exchanges):
        found.append("nothing was rewritten: the requests did not pass through the addon, or it is switched off")
    return found


def report(exchanges: list[Exchange]) -> str:
    """Lay out the table, an excerpt, and what was checked."""
    lines = [*_table(exchanges), "", *_excerpt(exchanges), *_checks(exchanges)]
    return "\n".join(line.rstrip() for line in lines)


def as_shown(text: str) -> str:
    """Return what is left of `text` on a terminal: no control sequences, and carriage returns overwrite."""
    return "\n".join(_shown_line(line) for line in _CONTROL_SEQUENCE.sub("", text).split("\n"))


def _shown_line(line: str) -> str:
    shown = ""
    for piece in line.split("\r"):
        shown = piece + shown[len(piece) :]
    return shown.rstrip()


def _table(exchanges: list[Exchange]) -> Iterator[str]:
    yield f"{'':<{_NEWS_WIDTH + 4}}  {'tokens':^24}  {'bytes':^24}"
    columns = f"{'before':>8}{'after':>8}{'saved':>8}"
    yield f"{'new in this request':<{_NEWS_WIDTH + 4}}  {columns}  {columns}"
    sums = [0, 0, 0, 0]
    for number, exchange in enumerate(exchanges, 1):
        row = [*exchange.tokens, len(exchange.sent), len(exchange.arrived)]
        sums = [total + value for total, value in zip(sums, row, strict=True)]
        yield f"{number:>2}  {_clipped(exchange.news, _NEWS_WIDTH):<{_NEWS_WIDTH}}  {_columns(row)}"
    yield f"{'all requests together':<{_NEWS_WIDTH + 4}}  {_columns(sums)}"


def _columns(row: list[int]) -> str:
    before, after, bytes_before, bytes_after = row
    return f"{_three(before, after)}  {_three(bytes_before, bytes_after)}"


def _three(before: int, after: int) -> str:
    saved = 100 * (before - after) / before if before else 0.0
    return f"{before:>8,}{after:>8,}{saved:>7.1f}%"


def _excerpt(exchanges: list[Exchange]) -> Iterator[str]:
    """Show the newest tool result among those that became shorter by the most, or nearly the most, characters."""
    shortened = [
        (number, before, after)
        for number, exchange in enumerate(exchanges, 1)
        for before, after in zip(_results(exchange.sent), _results(exchange.arrived), strict=True)
        if len(after) < len(before)
    ]
    if not shortened:
        return
    most = max(len(before) - len(after) for _, before, after in shortened)
    number, before, after = [each for each in shortened if len(each[1]) - len(each[2]) >= _NEARLY * most][-1]
    yield f"One tool result of request {number}, as the client sent it:"
    yield from _quoted(before)
    yield "and as it arrived:"
    yield from _quoted(after)
    yield ""


def _quoted(text: str) -> Iterator[str]:
    lines = text.split("\n")
    for line in lines[:_EXCERPT_LINES]:
        yield "  | " + _clipped(_visible(line), _EXCERPT_WIDTH)
    if len(lines) > _EXCERPT_LINES:
        yield f"  | … and {len(lines) - _EXCERPT_LINES} more lines"


def _checks(exchanges: list[Exchange]) -> Iterator[str]:
    count = len(exchanges)
    headers = sum(exchange.headers_unchanged for exchange in exchanges)
    exact = sum(exchange.exactly_restored for exchange in exchanges)
    shown = sum(exchange.restored_as_shown for exchange in exchanges) - exact
    yield f"Headers, the key among them, arrived unchanged in {headers} of {count} requests."
    line = f"From what arrived alone, {exact} of {count} bodies were restored byte for byte"
    yield f"{line}, {shown} more with terminal output as a terminal shows it." if shown else f"{line}."
    yield "Tokens are o200k_base. The session was made to show every kind of rewrite, and a real one also carries"
    yield "a long system prompt and tools, which are never touched: expect a smaller share there."


def _tokens(body: bytes) -> int:
    parsed = json.loads(body)
    return sum(tokens.count(text) for text in _texts([parsed["system"], parsed["messages"]]))


def _texts(value: Any) -> Iterator[str]:
    """Yield every string, in order; keys and structure are left out, they are the same on both sides."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry)
    elif isinstance(value, dict):
        yield from _texts(list(value.values()))


def _results(body: bytes) -> list[str]:
    """Return the texts of the tool results in the last message."""
    content = json.loads(body)["messages"][-1]["content"]
    return [block["content"] for block in content if block["type"] == "tool_result"]


def _as_shown_body(body: bytes) -> Any:
    parsed = json.loads(body)
    for message in parsed["messages"]:
        for block in message["content"]:
            if block["type"] == "tool_result":
                block["content"] = as_shown(block["content"])
    return parsed


def _without_length(headers: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() != "content-length"]


def _visible(line: str) -> str:
    return line.replace("\t", "    ").replace("\r", "⏎").replace("\x1b", "␛")


def _clipped(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"

"""How long a text may become when it is read back.

What was written shorter here was `LONGEST` characters at most. Statements that stand for more were made up: whoever
knows the id of a tool call can give a heading its code, and Claude Code tells it to MCP servers. Some thirty lines,
each of which stands for all above it, would fill any memory.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["LONGEST", "Room", "TooLongError"]

LONGEST = 250_000
"""The most characters of a result that is written shorter. Clients cap results far below this (Claude Code: 30,000
characters of output, 25,000 tokens of a file). What is longer is left as it is, always, so that the work for a request
is bounded by a rule and not by a clock."""

# A text is read back in up to four steps, each of which comes to about as much as the text itself, or less.
_STEPS = 4


class TooLongError(Exception):
    """What is being read back would be longer than anything that is written here."""


class Room:
    """What is left for that which statements in one result stand for, those of steps in between among them."""

    def __init__(self, characters: int = (_STEPS + 1) * LONGEST) -> None:
        self._left = characters

    def take(self, characters: int, times: int = 1) -> None:
        """Take room for a line of so many characters, so many times. Raises TooLongError."""
        self._left -= (characters + 1) * times
        if self._left < 0:
            raise TooLongError

    def take_lines(self, lines: Sequence[str]) -> None:
        """Take room for these lines. Raises TooLongError."""
        self.take(sum(map(len, lines)) + len(lines) - 1)

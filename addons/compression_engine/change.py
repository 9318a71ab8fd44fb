"""What was done to one rewritten tool result, for statistics."""

from __future__ import annotations

from threading import Lock

from compression_engine import tokens

__all__ = ["ResultChange"]


class ResultChange:
    """What was done to one rewritten tool result. Tokens are tiktoken's o200k_base.

    `kind` says how it is written now; several ways are joined by a plus sign. `tool` is empty where it is not known.
    `before` and `after` are its texts or their tokens: of texts the tokens are counted when somebody asks, which may be
    after the request has gone, and the texts are let go.
    """

    __slots__ = ("_after", "_before", "_counting", "kind", "tool")

    def __init__(self, kind: str, before: str | int, after: str | int, tool: str = "") -> None:
        self.kind = kind
        self.tool = tool
        self._before = before
        self._after = after
        self._counting = Lock()  # who comes while another thread counts waits for it, instead of counting as well

    @property
    def is_counted(self) -> bool:
        """Whether the tokens are known."""
        return not isinstance(self._before, str) and not isinstance(self._after, str)

    def count(self) -> None:
        """Count the tokens, and let go of the texts."""
        self._figures()

    def learn(self, same: ResultChange) -> None:
        """Take over what has been counted for the same change elsewhere."""
        with self._counting:
            self._before, self._after = same.tokens_before, same.tokens_after

    @property
    def tokens_before(self) -> int:
        """Of the text as the client sent it."""
        with self._counting:
            if isinstance(self._before, str):
                self._before = tokens.count(self._before)
            return self._before

    @property
    def tokens_after(self) -> int:
        """Of the text as it is sent."""
        with self._counting:
            if isinstance(self._after, str):
                self._after = tokens.count(self._after)
            return self._after

    def by(self, tool: str) -> ResultChange:
        """The same, of a result of `tool`."""
        return ResultChange(self.kind, self._before, self._after, tool)

    def __eq__(self, other: object) -> bool:
        """By kind, tool and tokens."""
        return isinstance(other, ResultChange) and self._figures() == other._figures()

    def __hash__(self) -> int:
        """As `==` has it."""
        return hash(self._figures())

    def __repr__(self) -> str:
        """Without the texts."""
        return "ResultChange({!r}, {!r}, {!r}, {!r})".format(*self._figures())

    def __reduce__(self) -> tuple[type[ResultChange], tuple[str, str | int, str | int, str]]:
        """For another process, as far as it has been counted."""
        with self._counting:
            return ResultChange, (self.kind, self._before, self._after, self.tool)

    def _figures(self) -> tuple[str, int, int, str]:
        return self.kind, self.tokens_before, self.tokens_after, self.tool

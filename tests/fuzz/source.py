"""Makes choices out of bytes, so that a fuzzer that changes bytes changes what is made of them."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Source"]


class Source:
    """Reads `data` from its start; behind its end everything is 0, which ends lists and takes the first choice."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left."""
        return self._at >= len(self._data)

    def byte(self) -> int:
        """From 0 to 255."""
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def up_to(self, most: int) -> int:
        """From 0 to `most`."""
        number = self.byte() if most < 256 else self.byte() * 256 + self.byte()
        return number % (most + 1)

    def one_in(self, times: int) -> bool:
        """Yes, about once in so many times; no at the end."""
        return self.byte() % times == times - 1

    def of[T](self, choices: Sequence[T]) -> T:
        """One of them."""
        return choices[self.up_to(len(choices) - 1)]

    def some_bytes(self, most: int) -> bytes:
        """At most so many, as they come."""
        count = self.up_to(most)
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken

    def text(self, most: int) -> str:
        """At most so many characters, of which some are odd; surrogates may stand alone."""
        return self.some_bytes(most).decode("utf-8", "surrogateescape")

    def rest(self) -> bytes:
        """All that is left."""
        taken, self._at = self._data[self._at :], len(self._data)
        return taken

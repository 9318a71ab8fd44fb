"""What the service says that it billed for one request."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Usage"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the service's own answer counts them.

    The kinds do not overlap: `uncached` is what was neither read from the prompt cache nor written to it. Where a
    service counts the cached ones among its input tokens (OpenAI), they have been taken out.
    """

    uncached: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0

    @property
    def cache_write(self) -> int:
        """Written to the cache, for however long."""
        return self.cache_write_5m + self.cache_write_1h

    @property
    def input(self) -> int:
        """All input tokens, at whatever price."""
        return self.uncached + self.cache_read + self.cache_write

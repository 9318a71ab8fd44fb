"""Whether the service still holds the prompt cache of a conversation, as far as that can be told from outside.

Anthropic's service forgets a prefix 5 minutes after the start of the last request that it answered, or an hour where
the request asks for that (`cache_control` with `ttl: "1h"`); for OpenAI's models see `formats.openai` of the engine. To
take a warm cache for a cold one costs 1.15 times everything behind the first change; to take a cold one for warm costs
0.1 times what could have gone, each turn. So doubt means warm.
"""

from __future__ import annotations

from conversations.branch import Cache

__all__ = ["is_cold", "lifetime_of"]

# The service's clock is not ours, and it may keep a prefix longer than it says.
_MARGIN_SHARE = 0.1
_LEAST_MARGIN = 30.0


def is_cold(cache: Cache, now: float, lifetime: float | None = None) -> bool:
    """Whether `cache` has certainly expired at `now`, in seconds since 1970.

    `lifetime`, in seconds, is what the user knows better; it is taken without a margin.
    """
    last = cache.last_sent
    if last is None:
        return True  # nothing of it was ever answered
    return now - last > lifetime_of(cache, lifetime)


def lifetime_of(cache: Cache, lifetime: float | None = None) -> float:
    """How many seconds after its last use `cache` has certainly expired; `lifetime` as for `is_cold`."""
    if lifetime is not None:
        return lifetime
    return cache.keeps + max(_LEAST_MARGIN, _MARGIN_SHARE * cache.keeps)

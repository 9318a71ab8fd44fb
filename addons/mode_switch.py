"""What it means for conversations that are under way when the mode changes while the proxy runs, in one line."""

from __future__ import annotations

from collections.abc import Sequence

from bookkeeper import Warm
from configuring.possible_values import Mode

__all__ = ["what_follows"]

# What a token costs more when it is written to the prompt cache than when it is read from it, in input tokens. Source:
# Anthropic's prices, 1.25 and 0.1.
_WRITTEN_ANEW = 1.15


def what_follows(mode: Mode, warm: Sequence[Warm], *, at_once: bool, now: float) -> str:
    """A line for a person. `warm` are the conversations that went out rewritten and are in the prompt cache so.

    `at_once` counts for the mode off only; `now` in seconds since 1970.
    """
    if mode is Mode.OFF and at_once and warm:
        tokens = sum(one.tokens for one in warm)
        return (
            f"Off at once. {_conversations(len(warm))} will pay anew for a prompt cache of {tokens:,} tokens, which "
            f"costs as much as {tokens * _WRITTEN_ANEW:,.0f} input tokens more than to wait until it has expired."
        )
    if not warm:
        return f"{mode.capitalize()}. No conversation is in the prompt cache as it was rewritten, so it holds at once."
    minutes = max(1, round((max(one.until for one in warm) - now) / 60))
    return (
        f"{mode.capitalize()}, for new conversations at once. {_conversations(len(warm))} will go on as before until "
        f"the prompt cache has expired, in {minutes} min without a request at the latest."
    )


def _conversations(count: int) -> str:
    return "1 conversation" if count == 1 else f"{count:,} conversations"

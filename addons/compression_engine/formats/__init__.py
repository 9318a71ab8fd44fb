"""Where tool results stand in a request body, one module a wire format.

A module of a rewritten format has these functions: `read` finds the messages in a body, `canonical` gives a message the
form that it keeps from turn to turn, `parse` finds the tool calls and results in one, `is_answer` tells whether one is
the assistant's, and `is_marked` whether the client marks one as the end of a prefix to cache.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from compression_engine.formats import anthropic_messages
from compression_engine.formats.message import Message, Request

__all__ = ["FORMATS", "Format", "WireFormat"]


class WireFormat(StrEnum):
    """The shapes of request bodies that clients of Foundry send."""

    ANTHROPIC_MESSAGES = "anthropic-messages"
    CHAT_COMPLETIONS = "chat-completions"
    RESPONSES = "responses"


class Format(NamedTuple):
    """How a wire format is read. `read` and `parse` raise NotUnderstood."""

    read: Callable[[bytes], Request]
    canonical: Callable[[bytes], bytes]
    parse: Callable[[bytes], Message]
    is_answer: Callable[[bytes], bool]
    is_marked: Callable[[bytes], bool]


FORMATS = {
    WireFormat.ANTHROPIC_MESSAGES: Format(
        anthropic_messages.read,
        anthropic_messages.canonical,
        anthropic_messages.parse,
        anthropic_messages.is_answer,
        anthropic_messages.is_marked,
    ),
}
"""The formats that are rewritten. The others are recognised and passed through."""

"""Where tool results stand in a request body, one module a wire format."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from compression_engine.formats import anthropic_messages, chat_completions, responses
from compression_engine.formats.message import Message, Request

__all__ = ["FORMATS", "Format", "WireFormat"]


class WireFormat(StrEnum):
    """The shapes of request bodies that clients of Foundry send."""

    ANTHROPIC_MESSAGES = "anthropic-messages"
    CHAT_COMPLETIONS = "chat-completions"
    RESPONSES = "responses"


class Format(Protocol):
    """How a wire format is read. What is called a message here is an item in others."""

    def read(self, body: bytes, /) -> Request:
        """Where the messages stand in a body, and what is around them. Raises NotUnderstood."""

    def canonical(self, message: bytes, /) -> bytes:
        """The form that a message keeps from turn to turn."""

    def parse(self, message: bytes, /) -> Message:
        """The tool calls and results in a message. Raises NotUnderstood."""

    def is_answer(self, message: bytes, /) -> bool:
        """Whether a message is the assistant's."""

    def is_marked(self, message: bytes, /) -> bool:
        """Whether the client marks the message as the end of a prefix to cache."""


FORMATS: dict[WireFormat, Format] = {
    WireFormat.ANTHROPIC_MESSAGES: anthropic_messages,
    WireFormat.CHAT_COMPLETIONS: chat_completions,
    WireFormat.RESPONSES: responses,
}
"""How each format is read."""

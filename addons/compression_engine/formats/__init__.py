"""Where tool results stand in a request body, one module a wire format."""

from enum import StrEnum

__all__ = ["WireFormat"]


class WireFormat(StrEnum):
    """The shapes of request bodies that clients of Foundry send."""

    ANTHROPIC_MESSAGES = "anthropic-messages"
    CHAT_COMPLETIONS = "chat-completions"
    RESPONSES = "responses"

"""Whose a message is, in formats in which its `role` says so."""

from __future__ import annotations

from compression_engine.body import NotUnderstood, members
from compression_engine.formats.values import string

__all__ = ["is_answer"]


def is_answer(message: bytes) -> bool:
    """Whether the message is the assistant's."""
    if message.startswith(b'{"role":"'):
        return message.startswith(b'{"role":"assistant"')
    try:
        return string(message, members(message).get("role")) == "assistant"
    except NotUnderstood:
        return False

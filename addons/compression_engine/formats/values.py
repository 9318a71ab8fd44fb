"""Values that stand in a longer JSON text, found by their spans in it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from compression_engine.body import Span, decode_string, elements, members

__all__ = [
    "digest_of",
    "elements_within",
    "is_array",
    "is_object",
    "is_string",
    "member",
    "members_within",
    "string",
    "texts_of",
]


def members_within(text: bytes, value: Span) -> dict[str, Span]:
    """The members of an object that stands in `text`, as spans of `text`. Raises NotUnderstood."""
    return members(text[value.start : value.end], value.start)


def elements_within(text: bytes, value: Span) -> list[Span]:
    """The elements of an array that stands in `text`, as spans of `text`. Raises NotUnderstood."""
    return elements(text[value.start : value.end], value.start)


def is_array(text: bytes, value: Span | None) -> bool:
    """Whether there is a value, and it is an array."""
    return value is not None and text.startswith(b"[", value.start)


def is_object(text: bytes, value: Span | None) -> bool:
    """Whether there is a value, and it is an object."""
    return value is not None and text.startswith(b"{", value.start)


def is_string(text: bytes, value: Span | None) -> bool:
    """Whether there is a value, and it is a string."""
    return value is not None and text.startswith(b'"', value.start)


def string(text: bytes, value: Span | None) -> str | None:
    """The string that stands in `text`; None where there is none, or another value. Raises NotUnderstood."""
    if value is None or not is_string(text, value):
        return None
    return decode_string(text[value.start : value.end])


def digest_of(values: Iterable[tuple[str, bytes]]) -> bytes:
    """A digest of named values."""
    digest = hashlib.sha256()
    for name, value in values:
        digest.update(b"%s %d " % (name.encode(), len(value)))
        digest.update(value)
    return digest.digest()


def member(text: bytes, fields: Mapping[str, Span], name: str) -> bytes:
    """A member of an object as it stands in `text`; empty where there is none."""
    span = fields.get(name)
    return text[span.start : span.end] if span else b""


def texts_of(message: bytes, content: Span | None, kind: str = "text") -> tuple[Span, ...]:
    """The strings of a content: the content itself, or the texts of its blocks of that kind. Raises NotUnderstood."""
    if content is None:
        return ()
    if is_string(message, content):
        return (content,)
    if not is_array(message, content):
        return ()
    texts = []
    for block in elements_within(message, content):
        fields = members_within(message, block)
        text = fields.get("text")
        if text is not None and is_string(message, text) and string(message, fields.get("type")) == kind:
            texts.append(text)
    return tuple(texts)

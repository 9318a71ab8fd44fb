"""`cache_control`, by which clients of Claude mark the end of a prefix to cache. It moves along from turn to turn."""

from __future__ import annotations

from collections.abc import Mapping

from compression_engine.body import NotUnderstood, Span, Splice, members, splice
from compression_engine.formats.values import elements_within, is_array, members_within

__all__ = ["is_marked", "without_marks"]

_MARKED = b'"cache_control"'


def without_marks(message: bytes) -> bytes:
    """The message without its own `cache_control`, that of its blocks and that of the blocks in its tool results.

    It is the very object that was handed in where there is none.
    """
    if _MARKED not in message:
        return message
    try:
        fields = members(message)
        cuts = _cut(fields)
        content = fields.get("content")
        for block in elements_within(message, content) if content and is_array(message, content) else ():
            fields = members_within(message, block)
            inner = fields.get("content")
            if inner is not None and is_array(message, inner):
                for nested in elements_within(message, inner):
                    cuts += _cut(members_within(message, nested))
            cuts += _cut(fields)
    except NotUnderstood:
        return message
    return splice(message, sorted(cuts)) if cuts else message


def is_marked(message: bytes) -> bool:
    """Whether the message or a block of it has `cache_control`."""
    return without_marks(message) is not message


def _cut(fields: Mapping[str, Span]) -> list[Splice]:
    """What takes `cache_control` out of an object with these members, of which it is not the first."""
    previous = None
    for key, value in fields.items():
        if key == "cache_control" and previous is not None:
            return [Splice(previous, value.end, b"")]
        previous = value.end
    return []

"""JSON text as a tree that keeps every token as it was written.

What ends in the middle (clients cap the length of results) is read as far as it goes; so is JSON with other text behind
it, and one document after the other (JSON lines, `jq`).
"""

from __future__ import annotations

import re
from itertools import islice
from typing import NamedTuple

__all__ = ["MOST_DEEP", "NUMBER_OR_WORD", "STRING", "Object", "Reading", "Value", "read"]

# Deeper nesting is not read: it bounds recursion, and nobody writes it.
MOST_DEEP = 64

STRING = r'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"'
NUMBER_OR_WORD = r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+|true|false|null"
_SPACE = r"[ \t\r\n]*+"
# A key if there is one, a scalar or a bracket, a comma if there is one. What is none of these is all the rest.
_BRACKET = r"[\[\]{}]"
_REST = r"[\s\S]++"
_MEMBERS = re.compile(
    rf"{_SPACE}(?:({STRING}){_SPACE}:{_SPACE})?({STRING}|{NUMBER_OR_WORD}|{_BRACKET}|{_REST}){_SPACE}(,?)"
)
_OPENING = ("[", "{")
_CLOSING = ("]", "}")
_COMPLETE = re.compile(rf"{STRING}|{NUMBER_OR_WORD}|{_BRACKET}")
_BEGINNING = re.compile(r"[ \t\r\n]*+(?:\[[ \t\r\n]*+(?:[0-9\[{\"\]-]|true|false|null)|\{[ \t\r\n]*+[\"}])")


class Object(NamedTuple):
    """An object: the keys as they were written, with their quotes, in order and perhaps twice; and their values."""

    keys: list[str]
    values: list[Value]


# A scalar is its own text: a string with its quotes and escapes, a number with all its digits.
type Value = str | Object | list[Value]


class Reading(NamedTuple):
    """Documents one after the other. Of the last one, `opened` brackets are not closed. From `end` on is no JSON."""

    documents: list[Value]
    opened: int
    end: int


def read(text: str) -> Reading | None:
    """The documents that `text` begins with, up to what is no JSON; None where it begins with no array or object."""
    if not _BEGINNING.match(text):
        return None
    members = _MEMBERS.findall(text)
    end = len(text)
    if not _COMPLETE.fullmatch(members[-1][1]):
        end -= len(members.pop()[1])
    documents: list[Value] = []
    stack: list[Object | list[Value]] = []
    inside: Object | list[Value] = documents
    after_comma = ""
    for at, (key, piece, comma) in enumerate(members):
        if not _may_follow(inside, key, piece, after_comma, first_level=not stack):
            end = _start_of(at, text)
            break
        if piece in _CLOSING:
            inside = stack.pop()
        else:
            value: Value = [] if piece == "[" else Object([], []) if piece == "{" else piece
            _add(inside, key, value)
            if not isinstance(value, str):
                stack.append(inside)
                inside = value
        if len(stack) > MOST_DEEP:
            return None
        if comma and (piece in _OPENING or not stack):
            break
        after_comma = comma
    return Reading(documents, len(stack), end) if documents else None


def _may_follow(inside: Object | list[Value], key: str, piece: str, after_comma: str, *, first_level: bool) -> bool:
    """Whether a value, with its key if it has one, or a closing bracket can stand next in `inside`."""
    if first_level:
        return not key and piece in _OPENING
    is_object = isinstance(inside, Object)
    if piece in _CLOSING:
        return not key and not after_comma and is_object == (piece == "}")
    filled = bool(inside.keys if isinstance(inside, Object) else inside)
    return bool(key) == is_object and bool(after_comma) == filled


def _start_of(member: int, text: str) -> int:
    """Where in `text` the member with this number, from 0, begins."""
    return next(islice(_MEMBERS.finditer(text), member, None)).start()


def _add(inside: Object | list[Value], key: str, value: Value) -> None:
    if isinstance(inside, Object):
        inside.keys.append(key)
        inside.values.append(value)
    else:
        inside.append(value)

"""JSON text as a tree that keeps every token as it was written.

What ends in the middle (clients cap the length of results) is read as far as it goes; so is JSON with other text behind
it, and one document after the other (JSON lines, `jq`).

An array of numbers is one token, because a result can hold tens of thousands of numbers.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import NamedTuple

__all__ = ["MOST_DEEP", "NUMBER_OR_WORD", "STRING", "Object", "Reading", "Value", "is_numbers", "read"]

# Deeper nesting is not read: it bounds recursion, and nobody writes it.
MOST_DEEP = 64

STRING = r'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"'
NUMBER_OR_WORD = r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+|true|false|null"
_SPACE = r"[ \t\r\n]*+"
# A key if there is one, a scalar or a bracket, a comma if there is one. What is none of these is all the rest.
_BRACKET = r"[\[\]{}]"
_NUMBERS = rf"\[{_SPACE}(?:{NUMBER_OR_WORD})(?:{_SPACE},{_SPACE}(?:{NUMBER_OR_WORD}))*+{_SPACE}\]"
_REST = r"[\s\S]++"
_MEMBERS = re.compile(
    rf"{_SPACE}(?:({STRING}){_SPACE}:{_SPACE})?({STRING}|{NUMBER_OR_WORD}|{_NUMBERS}|{_BRACKET}|{_REST}){_SPACE}(,?)"
)
_OPENING = ("[", "{")
_CLOSING = ("]", "}")
_COMPLETE = re.compile(rf"{STRING}|{NUMBER_OR_WORD}|{_NUMBERS}|{_BRACKET}")
_BEGINNING = re.compile(r"[ \t\r\n]*+(?:\[[ \t\r\n]*+(?:[0-9\[{\"\]-]|true|false|null)|\{[ \t\r\n]*+[\"}])")


class Object(NamedTuple):
    """An object: the keys as they were written, with their quotes, in order and perhaps twice; and their values."""

    keys: list[str]
    values: list[Value]


# A scalar is its own text: a string with its quotes and escapes, a number with all its digits. So is an array of
# numbers (or `true`, `false`, `null`), without blanks: `[1,2.50,3]`.
type Value = str | Object | list[Value]


class Reading(NamedTuple):
    """Documents one after the other. Of the last one, `opened` brackets are not closed. From `end` on is no JSON."""

    documents: list[Value]
    opened: int
    end: int


def read(text: str) -> Reading | None:  # noqa: C901, PLR0912  # one loop over every token: calls would double its time
    """The documents that `text` begins with, up to what is no JSON; None where it begins with no array or object."""
    if not _BEGINNING.match(text):
        return None
    members = _MEMBERS.findall(text)
    end = len(text)
    if not _COMPLETE.fullmatch(members[-1][1]):
        end -= len(members.pop()[1])
    documents: list[Value] = []
    keys: list[str] | None = None
    values = documents
    stack: list[tuple[list[str] | None, list[Value]]] = []
    after_comma = ""
    for at, (key, piece, comma) in enumerate(members):
        if piece in _CLOSING:
            if key or after_comma or not stack or piece != ("]" if keys is None else "}"):
                end = _start_of(at, text)
                break
            keys, values = stack.pop()
        else:
            if (keys is None) == bool(key) or bool(after_comma) != bool(values and stack):
                end = _start_of(at, text)
                break
            if keys is not None:
                keys.append(key)
            if piece in _OPENING:
                stack.append((keys, values))
                inner: list[Value] = []
                keys = None if piece == "[" else []
                values.append(inner if keys is None else Object(keys, inner))
                values = inner
                if comma or len(stack) > MOST_DEEP:
                    break
            elif piece[0] == "[":
                values.append("".join(piece.split()))
            elif stack:
                values.append(piece)
            else:
                end = _start_of(at, text)
                break
        if comma and not stack:
            break
        after_comma = comma
    if not documents or len(stack) > MOST_DEEP:
        return None
    return Reading(documents, len(stack), end)


def is_numbers(value: Value) -> bool:
    """Whether `value` is an array of numbers, as one token."""
    return isinstance(value, str) and value[0] == "["


def _start_of(member: int, text: str) -> int:
    """Where in `text` the member with this number, from 0, begins."""
    return next(islice(_MEMBERS.finditer(text), member, None)).start()

"""Finds values in JSON text and splices new strings in; every other byte stays the sender's own.

Nothing here re-serialises. A value is known by its span, the byte offsets where it starts and ends, so that what
surrounds it (white space, key order, number spelling, escapes) is never touched. msgspec does the scanning: its `Raw`
gives each value's own bytes, and walking along the text turns those into offsets and checks them on the way.

Only as much is scanned as is asked for: `elements` and `members` look one level deep.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

__all__ = [
    "NotUnderstood",
    "Span",
    "Splice",
    "decode_string",
    "elements",
    "encode_string",
    "members",
    "splice",
]


class NotUnderstood(ValueError):  # noqa: N818 - says what it means; nothing is wrong with the program
    """The text is not JSON, or not of the shape that was asked for."""


class Span(NamedTuple):
    """Byte offsets of a JSON value within the text that it was found in."""

    start: int
    end: int


class Splice(NamedTuple):
    """`token` (JSON text) takes the place of what stands from `start` to `end`."""

    start: int
    end: int
    token: bytes


_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_STRING = msgspec.json.Decoder(str)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_BLANKS = re.compile(rb"[ \t\r\n]*")
_KEY = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"[ \t\r\n]*:[ \t\r\n]*', re.DOTALL)
# A surrogate without its other half is legal JSON text and no legal text: msgspec refuses it. For finding spans any
# other escape of the same length does as well.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")

# An escape of a character that need not be escaped: the sender keeps to ASCII.
_ESCAPED = re.compile(rb"\\u(?!00[0-7])|\\u007f", re.IGNORECASE)


def elements(text: bytes, offset: int = 0) -> list[Span]:
    """The elements of the JSON array that `text` is; `offset`, where it stands in a longer text, is added to the spans.

    Raises NotUnderstood.
    """
    text, values = _scan(text, _ARRAY)
    spans = []
    at = _skip(text, 0, b"[")
    for count, value in enumerate(values):
        token = bytes(value)
        # Compact text is the common case: the next element stands right behind the comma.
        if count and text.startswith(b",", at) and text.startswith(token, at + 1):
            at += 1
        else:
            at = _skip(text, at, b",") if count else at
            _check(text, at, token)
        end = at + len(token)
        spans.append(Span(offset + at, offset + end))
        at = end
    return spans


def members(text: bytes, offset: int = 0) -> dict[str, Span]:
    """The values of the JSON object that `text` is, by key, in the order of the text; `offset` as in `elements`.

    Raises NotUnderstood, also where a key stands twice: which of the two counts is the reader's choice.
    """
    text, values = _scan(text, _OBJECT)
    spans = {}
    at = _skip(text, 0, b"{")
    for count, (key, value) in enumerate(values.items()):
        if count:
            at = _skip(text, at, b",")
        found = _KEY.match(text, at)
        if found is None:
            raise NotUnderstood("a key stands twice")
        token = bytes(value)
        _check(text, found.end(), token)
        at = found.end() + len(token)
        spans[key] = Span(offset + found.end(), offset + at)
    if text[_skip(text, at, b"}") :].strip():
        raise NotUnderstood("a key stands twice")
    return spans


def splice(text: bytes, splices: Iterable[Splice], start: int = 0, end: int | None = None) -> bytes:
    """`text` from offset `start` to `end` with every splice made; they are in order and do not overlap."""
    pieces: list[bytes] = []
    at = start
    for one in splices:
        pieces += (text[at : one.start], one.token)
        at = one.end
    pieces.append(text[at:end])
    return b"".join(pieces)


def decode_string(token: bytes) -> str:
    """The text of a JSON string. Lone surrogates are kept as such. Raises NotUnderstood."""
    try:
        return _STRING.decode(token)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        value = _decoded(token)  # a lone surrogate, or none
    if not isinstance(value, str):
        raise NotUnderstood("not a JSON string")
    return value


def _decoded(token: bytes) -> object:
    try:
        return json.loads(token.decode())
    except ValueError as error:
        raise NotUnderstood("not a JSON string") from error


def encode_string(text: str, like: bytes) -> bytes:
    """`text` as a JSON string, escaped as the sender escapes: `like` is the token that it takes the place of."""
    if _ESCAPED.search(like) is None or not like.isascii():
        with contextlib.suppress(UnicodeEncodeError):
            return msgspec.json.encode(text)
        # For a lone surrogate Python's backslash escape is JSON's too.
        return json.dumps(text, ensure_ascii=False).encode("utf-8", "backslashreplace")
    return json.dumps(text).encode()


def _scan[T](text: bytes, decoder: msgspec.json.Decoder[T]) -> tuple[bytes, T]:
    try:
        return text, decoder.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        plain = _SURROGATE.sub(rb"\\ufffd", text)
        if plain == text:
            raise NotUnderstood("not the JSON that was expected") from error
    try:
        return plain, decoder.decode(plain)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise NotUnderstood("not the JSON that was expected") from error


def _skip(text: bytes, at: int, mark: bytes) -> int:
    """The offset of what follows `mark` and the white space around it."""
    if not text.startswith(mark, at):
        at = _past_blanks(text, at)
        if not text.startswith(mark, at):
            raise NotUnderstood("a key stands twice")
    at += 1
    return at if text[at : at + 1] > b" " else _past_blanks(text, at)  # compact text is the common case


def _past_blanks(text: bytes, at: int) -> int:
    found = _BLANKS.match(text, at)
    return found.end() if found else at


def _check(text: bytes, at: int, value: bytes) -> None:
    if not text.startswith(value, at):
        raise NotUnderstood("a key stands twice")

"""What stands in a JSON text, told without the engine's own reader."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

__all__ = ["Token", "loads", "tokens_of"]

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)


class Token(NamedTuple):
    """A scalar value: the way to it from the top, by keys and places, and where it stands."""

    path: tuple[str | int, ...]
    start: int
    end: int


def loads(text: bytes) -> Any:
    """The value of a JSON text, which may hold what JSON does not allow in strings. Raises ValueError."""
    return json.loads(text.decode("utf-8", "surrogateescape"), strict=False, parse_int=str)


def tokens_of(text: bytes) -> list[Token]:
    """The scalar values in `text`, which is JSON."""
    found = []
    path: list[str | int] = []
    stack: list[bool] = []  # whether it is an object
    key: bytes | None = None
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in (b"{", b"["):
            stack.append(token == b"{")
            path.append(0 if token == b"[" else "")
        elif token in (b"}", b"]"):
            stack.pop()
            path.pop()
        elif token == b",":
            last = path[-1]
            if isinstance(last, int):
                path[-1] = last + 1
        elif token == b":":
            path[-1] = loads(key or b'""')
            key = None
            continue
        elif stack and stack[-1] and _is_key(text, match.end()):
            key = token
            continue
        else:
            found.append(Token(tuple(path), match.start(), match.end()))
    return found


def _is_key(text: bytes, at: int) -> bool:
    while text[at : at + 1].isspace():
        at += 1
    return text[at : at + 1] == b":"

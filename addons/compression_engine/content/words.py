"""What can be told of the tokens of a text from its words, numbers and marks, without a tokenizer.

o200k_base cuts a text before it looks for tokens: at most one word, or three digits, or marks without a blank between
them end up in one piece, and every piece is a token or more.
"""

from __future__ import annotations

import re
from collections import Counter

from compression_engine.tokens import PIECE

__all__ = ["differing", "least_tokens"]

_BLANKS = b" \t\n\v\f\r"
_DIGITS = b"0123456789"
_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Slashes, and line ends with them, stay with marks before them.
_SLASH = b"/"
# What may go on with a word on both sides: apostrophes, and what is not ASCII.
_LEFT_OUT = bytes([*b"'", *range(128, 256)])


def _kind(byte: int) -> int:
    kinds = ((_BLANKS, b" "), (_DIGITS, b"0"), (_LETTERS, b"a"), (_SLASH, _SLASH))
    return next((kind for bytes_, kind in kinds if byte in bytes_), b"!")[0]


_KINDS = bytes(map(_kind, range(256)))
# Where a word begins, a number begins, marks end, and where a number has more digits than fit.
_PIECES = (b" a", b"0a", b"!a", b" 0", b"a0", b"!0", b"! ", b"!0", b"0000")


def least_tokens(text: str) -> int:
    """A number of tokens that `text` has at least, in a third of the time that counting them takes."""
    kinds = text.encode("utf-8", "surrogatepass").translate(_KINDS, _LEFT_OUT)
    return sum(map(kinds.count, _PIECES))


# A line end in front of what is neither blank nor a slash: there a text is always cut.
_CUT = re.compile(r"\n(?=[!-.0-~])")


def differing(one: str, other: str) -> tuple[str, str]:
    """What each of two texts says besides the other: one has as many tokens more than the other as the whole has."""
    if max(len(one), len(other)) > PIECE:  # what is counted piece by piece may be cut elsewhere as well
        return one, other
    *lines, end = _CUT.split(one)
    *other_lines, other_end = _CUT.split(other)
    here, there = Counter(lines), Counter(other_lines)
    return "\n".join([*(here - there).elements(), end]), "\n".join([*(there - here).elements(), other_end])

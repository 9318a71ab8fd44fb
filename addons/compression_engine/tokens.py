"""Counting tokens with tiktoken's o200k_base, from the ranks that ship with the project.

Claude's own tokenizer is not public: by measurement it makes 1.16 to 1.72 tokens of one o200k_base token, depending on
model and content. Counts made here are for deciding and for showing the order of magnitude, never for money.
"""

from __future__ import annotations

import functools
import os
import threading
from pathlib import Path

import tiktoken

__all__ = ["PIECE", "count", "warm_up"]

_RANKS = Path(__file__).with_name("ranks")

# tiktoken panics, with an exception that `except Exception` does not catch, on a run of a million blanks, and takes a
# second for two megabytes of one letter. Neither happens below this many characters at once.
PIECE = 20_000
"""Longer texts are counted in pieces of so many characters."""

_loading = threading.Lock()  # of two threads at once, one would take what the other has set for what was there before


@functools.cache
def _encoding() -> tiktoken.Encoding:
    with _loading:
        before = os.environ.get("TIKTOKEN_CACHE_DIR")
        os.environ["TIKTOKEN_CACHE_DIR"] = str(_RANKS)
        try:
            encoding = tiktoken.get_encoding("o200k_base")
            # 33 MB that the compiled part has in a form of its own; only the names of tokens are looked up here.
            vars(encoding).get("_mergeable_ranks", {}).clear()
            return encoding
        finally:
            if before is None:
                del os.environ["TIKTOKEN_CACHE_DIR"]
            else:
                os.environ["TIKTOKEN_CACHE_DIR"] = before


def warm_up() -> None:
    """Load the ranks now, half a second, instead of at the first count."""
    _encoding()


def count(text: str) -> int:
    """Tokens of `text`; a token that stands across two pieces of 20,000 characters counts twice."""
    encoding = _encoding()
    return sum(len(encoding.encode_ordinary(text[at : at + PIECE])) for at in range(0, len(text), PIECE))

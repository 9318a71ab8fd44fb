"""Takes code out of the docs' pages, so that tests run what readers see."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

__all__ = ["Block", "blocks", "snippet"]

_PROJECT = Path(__file__).resolve().parents[2]
# A fence may be longer, so that a block can hold fences, and stand in from the margin, in a list.
_FENCE = re.compile(r"^ *(?P<fence>```+) *(?P<info>[^`\n]*)\n(?P<code>.*?)^ *(?P=fence) *$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced code block: its `language`, what stands after that in the fence's line, and the code."""

    language: str
    label: str
    code: str


def blocks(text: str) -> list[Block]:
    """All fenced code blocks of a page's text, from top to bottom."""
    found = []
    for match in _FENCE.finditer(text):
        language, _, label = match["info"].strip().partition(" ")
        found.append(Block(language, label.strip(), textwrap.dedent(match["code"])))
    return found


def snippet(page: str, language: str, position: int = 0, replacing: Mapping[str, str] | None = None) -> str:
    """The code of the block number `position` (from 0) in `language` on `page` (`docs/clients/litellm.md`).

    What stands for the reader's own values is replaced as `replacing` says: `{"http://127.0.0.1:8080": proxy.url}`.
    Raises LookupError if there is no such block, or if it does not hold something that is to be replaced.
    """
    of_language = [
        block for block in blocks((_PROJECT / page).read_text(encoding="utf-8")) if block.language == language
    ]
    if position >= len(of_language):
        raise LookupError(f"{page} has {len(of_language)} blocks in {language}, no number {position}")
    code = of_language[position].code
    for example, value in (replacing or {}).items():
        if example not in code:
            raise LookupError(f"block {position} in {language} on {page} does not hold {example!r}")
        code = code.replace(example, value)
    return code

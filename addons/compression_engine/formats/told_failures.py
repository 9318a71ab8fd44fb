"""Whether a result reports an error, in formats that have no mark for it: told from the text, and only from its start.

A failure that is not recognised may be set aside or written shorter like any other result; nothing is lost by that.
Sources: the words that Claude Code 2.1.197 begins a failed result with (measured) and those of Codex's shell; the
others are what programs say.
"""

from __future__ import annotations

import re

__all__ = ["says_failure"]

# On the JSON text, so that nothing has to be decoded: of its escapes only those of white space can stand before a word.
_FAILURE = re.compile(
    rb'"(?:\s|\\[nrt])*(?:<tool_use_error>|Exit code:? -?[1-9]|Error\b|error:|ERROR\b|Failed to |File does not exist'
    rb"|Traceback \(most recent call last\)|fatal: )"
)
_CODEX_CODE = re.compile(rb'\\"exit_code\\":\s*-?[1-9]')
_CODE_WITHIN = 200  # bytes at the end, where Codex has it


def says_failure(token: bytes) -> bool:
    """Whether the JSON string `token` begins as the report of an error does."""
    return _FAILURE.match(token) is not None or _CODEX_CODE.search(token, max(0, len(token) - _CODE_WITHIN)) is not None

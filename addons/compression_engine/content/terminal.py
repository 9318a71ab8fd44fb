"""What a program wrote to a terminal, reduced to what the terminal shows.

Colours and window titles go, and of a line that was overwritten after carriage returns the last state stays. Anything
that moves the cursor in another way stays as it is: what it shows depends on the screen.
"""

from __future__ import annotations

import re

__all__ = ["shown"]

# ECMA-48: CSI … m sets colours (SGR), OSC 0, 1 and 2 set titles, CSI ? 25 l and h hide and show the cursor.
_INVISIBLE = re.compile(r"\x1b\[[0-9;:]*m|\x1b\][012];[^\x07\x1b\n]*(?:\x07|\x1b\\)|\x1b\[\?25[lh]")
# Erasing a line and going to its start, again and again.
_REPEATED = re.compile(r"(\x1b\[2K\x1b\[1?G)\1+")
# At the start of a line there is nothing to erase and no way back. Not so after moves between lines, which is all that
# other sequences are taken for.
_IDLE_START = re.compile(r"^(?:\x1b\[[02]?K|\x1b\[1?G|\r(?!\n|\Z))+", re.MULTILINE)
_WITHIN_LINE = re.compile(r"\x1b\[(?:[012]?K|\d*G)")
_ERASE = re.compile(r"\x1b\[[02]?K")
# A state that erasing leaves whole: erased before it was written, or behind its end.
_WHOLE = re.compile(r"(?:\x1b\[[02]?K)*+([^\x1b]*+)(?:\x1b\[0?K)*+")
_OVERWRITTEN = re.compile(r"\r(?!\n|\Z)")
# What takes no cell, or more than one, makes counting cells a matter of fonts and tab stops.
_PLAIN = re.compile(r"[ -~\u00a0-\u02ff\u2010-\u2027\u2190-\u21ff\u2500-\u259f\u2800-\u28ff]*")


def shown(text: str) -> str:
    """`text` as a terminal shows it; the very same string where there is nothing to reduce."""
    if "\x1b" not in text and not _OVERWRITTEN.search(text):
        return text
    reduced = _REPEATED.sub(r"\1", _INVISIBLE.sub("", text))
    if "\x1b" not in _WITHIN_LINE.sub("", reduced):
        reduced = _IDLE_START.sub("", reduced)
    if "\r" not in reduced:
        return reduced
    return "\n".join(_last_state(line) if "\r" in line else line for line in reduced.split("\n"))


def _last_state(line: str) -> str:
    """The line after everything on it was overwritten, or the line itself where that cannot be told for sure."""
    states = line.removesuffix("\r").split("\r")
    texts = [_ERASE.sub("", state) for state in states]
    if not all(_PLAIN.fullmatch(text) for text in texts):
        return line
    if "\x1b" in line:
        # Terminals erase, and some tools that render text do not: only where both show the same it is told for sure.
        whole = _WHOLE.fullmatch(states[-1])
        return whole[1] if whole and len(whole[1]) >= max(map(len, texts)) else line
    # From the last state back, each shows what the later ones leave of it.
    row = []
    width = 0
    for text in reversed(texts):
        row.append(text[width:])
        width = max(width, len(text))
    return "".join(row)

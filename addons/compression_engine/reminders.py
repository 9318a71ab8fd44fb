"""Reminders of the client inside tool results, `<system-reminder>…</system-reminder>`: never touched, never moved."""

from __future__ import annotations

__all__ = ["replaced", "split", "up_to_the_last", "without"]

_OPENING, _CLOSING = "<system-reminder>", "</system-reminder>"


def split(text: str) -> list[str]:
    """`text` cut around its reminders: every second piece is one."""
    pieces: list[str] = []
    at = 0
    while (start := text.find(_OPENING, at)) >= 0 and (end := text.find(_CLOSING, start)) >= 0:
        end += len(_CLOSING)
        pieces += (text[at:start], text[start:end])
        at = end
    return [*pieces, text[at:]]


def without(text: str) -> str:
    """`text` without its reminders and the blanks around it."""
    return "".join(split(text)[::2]).strip()


def up_to_the_last(text: str) -> str:
    """`text` without the reminders at its end and the blank line in front of them."""
    pieces = split(text)
    while len(pieces) > 1 and not pieces[-1].strip():
        del pieces[-2:]
        pieces[-1] = pieces[-1].removesuffix("\n\n")
    return "".join(pieces)


def replaced(text: str, new: str) -> str:
    """`text` with `new` in place of what it says besides its reminders; blank lines between the two stay."""
    pieces = split(text)
    said = next((at for at in range(0, len(pieces), 2) if pieces[at].strip()), 0)
    out = []
    for at, piece in enumerate(pieces):
        if at == said:
            blanks = piece[: len(piece) - len(piece.lstrip())] if at and piece.strip() else ""
            before = blanks[: blanks.rfind("\n") + 1]  # what indents the first line belongs to it
            after = piece[len(piece.rstrip()) :] if at + 1 < len(pieces) and piece.strip() else ""
            out.append(before + new + after)
        elif at % 2 or not piece.strip():
            out.append(piece)
    return "".join(out)

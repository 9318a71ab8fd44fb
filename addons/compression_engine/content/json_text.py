"""JSON text, pretty-printed or not, cut off or not, one document or several: written in fewer tokens.

What is left out is how the text was laid out, stated in a few words, and what `json_view` says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from compression_engine.content import json_document, json_layout, json_view
from compression_engine.content.json_document import Value, is_numbers
from compression_engine.content.json_layout import Layout, TooLongError, Writer

__all__ = ["Folded", "fold", "unfold"]

_BLANK = " \t\r\n"
_SEVERAL = "documents "
# Where only the beginning of a text is laid out in one way, it must be at least this long, in characters.
_LEAST = 200


class Folded(NamedTuple):
    """The shorter text, and how the original was laid out, in words."""

    text: str
    layout: str


def fold(text: str) -> Folded | None:
    """`text`, which begins with JSON, in fewer tokens; None where it is something else, or laid out by hand.

    What follows the JSON stays as it is. `unfold` gives back `text`.
    """
    start = len(text) - len(text.lstrip(_BLANK))
    found = _read(text[start:])
    if found is None:
        return None
    documents, opened, end, layout = found
    several = len(documents) > 1
    value: Value = documents if several else documents[0]
    opened = opened and opened + several
    view = json_view.write(value, opened)
    folded = text[:start] + view + text[start + end :]
    if len(folded) >= len(text):
        return None
    # `_read` has written these values in this layout: where they come back, so does the text.
    if json_view.read(folded, start) != (value, opened, start + len(view)) or json_layout.parse(str(layout)) != layout:
        return None
    return Folded(folded, _SEVERAL * several + str(layout))


def unfold(view: str, layout: str) -> str | None:
    """The text that `fold` was given; None where `view` and `layout` are not of its making."""
    how = json_layout.parse(layout.removeprefix(_SEVERAL))
    start = len(view) - len(view.lstrip(_BLANK))
    found = json_view.read(view, start) if how else None
    if how is None or found is None:
        return None
    value, opened, end = found
    documents = [value]
    if layout.startswith(_SEVERAL):
        if not isinstance(value, list):
            return None
        documents = value
        opened = max(0, opened - 1)
    elif isinstance(value, str) and not is_numbers(value):
        return None
    try:
        return view[:start] + _write(documents, opened, how) + view[end:]
    except TooLongError:
        return None


class _Read(NamedTuple):
    """As much of the documents that a text begins with as is laid out in one way, up to `end`."""

    documents: list[Value]
    opened: int
    end: int
    layout: Layout


def _read(text: str) -> _Read | None:
    reading = json_document.read(text)
    layout = json_layout.guess(text[: reading.end]) if reading else None
    for _ in range(2):
        if reading is None or layout is None:
            return None
        try:
            written = _write(reading.documents, reading.opened, layout)
        except TooLongError:
            return None
        if text.startswith(written):
            return _Read(reading.documents, reading.opened, len(written), layout)
        same = _same(text, written)
        reading = json_document.read(text[:same]) if same >= _LEAST else None
    return None


def _same(one: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one.startswith(other[low:middle], low):
            low = middle
        else:
            high = middle - 1
    return low


def _write(documents: Sequence[Value], opened: int, layout: Layout) -> str:
    writer = Writer(layout)
    last = len(documents) - 1
    return layout.newline.join(writer.write(one, opened if at == last else 0) for at, one in enumerate(documents))

"""How JSON text is laid out: line breaks, indentation, blanks. A function of the tokens, stated in a few words."""

from __future__ import annotations

import re
from typing import NamedTuple

from compression_engine.content.json_document import MOST_DEEP, STRING, Object, Value

__all__ = ["Layout", "TooLongError", "Writer", "guess", "parse"]

# A forged view may state rows and constants that would be more than memory holds. In characters.
_LONGEST = 4_000_000
_WIDEST_INDENT = 16
# How much of a text is looked at to guess its layout, in characters.
_SAMPLE = 20_000

_STYLES = {(",", ":"): "minified", (", ", ": "): "spaced", (",", ": "): "spaced keys", (", ", ":"): "spaced values"}
_SEPARATORS = {name: separators for separators, name in _STYLES.items()}
_LAYOUT = re.compile(
    r"(?:indented by (?P<indent>[0-9]{1,2}|tab)(?: to depth (?P<deep>[0-9]{1,2}))?|(?=[ms]))"
    r"(?:(?:, )?(?P<style>minified|spaced(?: keys| values)?))?(?P<lines>, one element a line)?(?P<padded>, padded)?"
    r"(?P<ends>, blanks at line ends)?(?P<empties>, empties (?:spaced|broken))?(?P<windows>, CRLF)?"
)
# An array or object with something in it, on one line, after the indentation of its own line.
_ON_ONE_LINE = re.compile(r"\n([ \t]*+)(?:" + STRING + r" ?: ?)?[\[{] ?(?=[^\s\]}])")
# What stands behind marks outside strings; a string is reduced to its quotes first.
_STRINGS = re.compile(STRING)
_EMPTY = re.compile(r"[\[{]([ ]*+)(\r?\n[ \t]*+)?[\]}]")
_PADDED = re.compile(r"[\[{]([ ]*+)(?!\r?\n|[\]}])")
_COLON = re.compile(r":([ ]*+)")
_COMMA = re.compile(r",([ ]*+)(?!\r?\n)")
_END = re.compile(r",([ ]*+)\r?\n")


class TooLongError(Exception):
    """What is to be written is longer than any text that was ever read."""


class Layout(NamedTuple):
    """`deep`: containers from this depth on stand on one line. `ends`: what stands between a comma and a line break."""

    indent: str | None = None
    deep: int = MOST_DEEP
    comma: str = ","
    colon: str = ":"
    lines: bool = False
    padding: str = ""
    ends: str = ""
    empties: str = ""
    newline: str = "\n"

    def __str__(self) -> str:
        """In words; `parse` reads them."""
        words = []
        style = _STYLES[self.comma, self.colon]
        if self.indent is not None:
            depth = f" to depth {self.deep}" if self.deep < MOST_DEEP else ""
            words.append(f"indented by {'tab' if self.indent == '\t' else len(self.indent)}{depth}")
        if self.indent is None or style != "spaced":
            words.append(style)
        words += ["one element a line"] if self.lines else []
        words += ["padded"] if self.padding else []
        words += ["blanks at line ends"] if self.ends else []
        words += [f"empties {'spaced' if self.empties == ' ' else 'broken'}"] if self.empties else []
        words += ["CRLF"] if self.newline == "\r\n" else []
        return ", ".join(words)


def parse(words: str) -> Layout | None:
    """The layout in words, or None."""
    found = _LAYOUT.fullmatch(words)
    if not found or not (found["indent"] or found["style"]):
        return None
    comma, colon = _SEPARATORS[found["style"] or "spaced"]
    indent = None
    if found["indent"]:
        indent = "\t" if found["indent"] == "tab" else " " * int(found["indent"])
        if len(indent) > _WIDEST_INDENT:
            return None
    return Layout(
        indent,
        int(found["deep"] or MOST_DEEP),
        comma,
        colon,
        bool(found["lines"]),
        " " if found["padded"] else "",
        " " if found["ends"] else "",
        {None: "", ", empties spaced": " ", ", empties broken": "\n"}[found["empties"]],
        "\r\n" if found["windows"] else "\n",
    )


def guess(text: str) -> Layout:
    """The layout that the beginning of `text`, JSON, shows. Only writing it again can tell whether all of it has it."""
    sample = text[:_SAMPLE]
    opening = re.match(r"[\[{]\r?\n([ \t]*+)", sample)
    indent = opening[1] if opening else None
    newline = "\r\n" if "\r\n" in sample else "\n"
    deep = MOST_DEEP
    if indent is not None:
        for line in _ON_ONE_LINE.finditer(sample):
            depth = line[1].count(indent) if indent else 1
            deep = min(deep, depth)
    marks = _STRINGS.sub('""', sample)
    empty, padding, colon, comma, end = (pattern.search(marks) for pattern in (_EMPTY, _PADDED, _COLON, _COMMA, _END))
    behind_comma = comma[1] if comma else "" if indent is None and colon and not colon[1] else " "
    behind_colon = colon[1] if colon else comma[1] if comma else "" if indent is None else " "
    return Layout(
        indent,
        deep,
        ", " if behind_comma else ",",
        ": " if behind_colon else ":",
        indent is None and end is not None,
        " " if padding and padding[1] else "",
        " " if end and end[1] else "",
        "" if not empty or not (empty[1] or empty[2]) else "\n" if empty[2] else " ",
        newline,
    )


class Writer:
    """Writes values as JSON text in a layout. Raises TooLongError where the text would be."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        indent = layout.indent
        self._breaks = [layout.newline + (indent or "") * depth for depth in range(MOST_DEEP + 2)]
        self._deep = 0 if indent is None else layout.deep
        self._written = 0

    def write(self, value: Value, opened: int = 0, depth: int = 0) -> str:
        """The text of `value`; the last `opened` levels of brackets stay open."""
        if isinstance(value, str):
            text = self._numbers(value, depth) if value[0] == "[" else value
            self._written += len(text)
            if self._written > _LONGEST:
                raise TooLongError
            return text
        written = self._written
        layout = self._layout
        if isinstance(value, Object):
            start, end = "{", "}"
            values = value.values
        else:
            start, end = "[", "]"
            values = value
        as_is = depth + 1 >= self._deep and layout.comma == "," and not layout.padding  # so are arrays of numbers
        texts = [
            item if isinstance(item, str) and (as_is or item[0] != "[") else self.write(item, 0, depth + 1)
            for item in values
        ]
        if texts and opened > 1:
            texts[-1] = self.write(values[-1], opened - 1, depth + 1)
        if isinstance(value, Object):
            texts = [f"{key}{layout.colon}{text}" for key, text in zip(value.keys, texts, strict=True)]
        if not texts:
            between = self._breaks[depth] if layout.empties == "\n" else layout.empties
            text = start if opened else f"{start}{between}{end}"
        else:
            inner, comma, closing = self._between(depth)
            text = f"{start}{inner}{comma.join(texts)}{'' if opened else closing + end}"
        self._written = written + len(text)
        if self._written > _LONGEST:
            raise TooLongError
        return text

    def _between(self, depth: int) -> tuple[str, str, str]:
        """What stands behind the opening bracket at `depth`, between the members, and before the closing bracket."""
        layout = self._layout
        if depth < self._deep:
            inner = self._breaks[depth + 1]
            return inner, f",{layout.ends}{inner}", self._breaks[depth]
        comma = f",{layout.ends}{layout.newline}" if layout.lines and not depth else layout.comma
        return layout.padding, comma, layout.padding

    def _numbers(self, token: str, depth: int) -> str:
        """The text of an array of numbers."""
        inner, comma, closing = self._between(depth)
        return f"[{inner}{token[1:-1].replace(',', comma)}{closing}]"

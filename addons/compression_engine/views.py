"""The ways to write a stretch of a result, and to read them back.

A stretch is shown as one of three *views*: a numbered reading of a file, a JSON document, or lines of output. A view is
what the heading says (its facts) and the text below it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from compression_engine import statements
from compression_engine.content import (
    alike_lines,
    failures,
    json_text,
    numbered_file,
    repeated_lines,
    repeated_runs,
    search_hits,
    terminal,
)
from compression_engine.content.lines import Item, Line, number_lines, split_positions
from compression_engine.content.room import Room
from compression_engine.history import Place, Shown
from compression_engine.statements import Heading, Reference

# A command that names such a file shows text that an edit may have to match, line for line.
_FILE = re.compile(r"\.(?:json[c5l]?|ipynb|lock|geojson|webmanifest)\b")
# So does one that writes out a file which is no log or table: an edit may have to match several lines.
_WRITES_OUT = re.compile(
    r"(?:cd [^|;&<>\n]+ && )?(?:(?:cat|head|tail|sed -n|nl|bat) |git show \S+:)"
    r"(?!.*\.(?:log|out|output|err|txt|[ct]sv)\b)[^|;&<>\n]*"
)
# A JSON document that is shorter than this share of its text is not compared with patterns of its lines.
_CLEARLY_SHORTER = 0.9

__all__ = ["Stretch", "View", "read", "read_plain", "view_of_document", "view_of_failure", "views_of"]


class Stretch(NamedTuple):
    """The client's text of a stretch, and its lines as later results may refer to them."""

    text: str
    numbered: bool
    lines: list[Line]


class View(NamedTuple):
    """A way to write a stretch. `original` is what reading it back gives: terminal output as a terminal shows it."""

    kind: str
    facts: tuple[str, ...]
    text: str
    original: str
    stretch: Stretch | None = None
    """What reading it back gives, where that is known without doing it."""


def view_of_failure(text: str) -> View | None:
    """The one view of a result that reports a failure: every word stays in its place, terminal codes go."""
    original = terminal.shown(text)
    return None if original == text else View("terminal", (statements.NO_CODES,), original, original)


def view_of_document(text: str) -> View | None:
    """The view of `text` as JSON, which it begins with."""
    folded = json_text.fold(text)
    if folded is None:
        return None
    facts = [statements.write_document(folded.layout)]
    if "^/" in folded.text:
        facts.append(statements.ADDRESSES)
    return View("json", tuple(facts), folded.text, text, Stretch(text, numbered=False, lines=[]))


def views_of(text: str, first: int, label: str, shown: Shown, document: View | None = None) -> Iterator[View]:
    """The views that `text` can be written in; its first line is line `first` of the result.

    `document` is `view_of_document`, where that has been asked for already.
    """
    reading = numbered_file.read(text)
    if reading is not None:
        yield _reading(reading, text, label, shown)
        return
    original = terminal.shown(text)
    kinds = () if original == text else ("terminal",)
    facts = () if original == text else (statements.NO_CODES,)
    if _FILE.search(label):
        document = None
    elif document is None or original != text:
        document = view_of_document(original)
    if document is not None:
        yield _behind(kinds, facts, document)
    lines = split_positions(original, first)
    fails = failures.find([line.text for line in lines])
    # The last line end stays: the next heading has to start a line.
    fails[-1] = fails[-1] or not lines[-1].text
    items = shown.refer(Place(label, numbered=False), lines, fails)
    if document is not None and len(document.text) < _CLEARLY_SHORTER * len(text) and not _refers(items):
        return
    if _WRITES_OUT.fullmatch(label):
        output = _output(items, original)
    else:
        output = _shortened(repeated_runs.refer(items, fails), fails, original)
    if facts or output.facts:
        yield _behind(kinds, facts, output)


def read_plain(text: str, first: int) -> Stretch:
    """A stretch that stands as the client sent it."""
    reading = numbered_file.read(text)
    if reading is not None:
        return Stretch(text, numbered=True, lines=reading.lines)
    return Stretch(text, numbered=False, lines=split_positions(text, first))


def read(heading: Heading, first: int, label: str, shown: Shown, room: Room) -> Stretch | None:
    """The stretch that is written below `heading`; None where the two do not fit. Raises TooLongError."""
    for fact in heading.facts:
        if (blocks := statements.read_numbered(fact)) is not None:
            return _read_reading(heading.rest, blocks, Place(label, numbered=True), shown, room)
        if (layout := statements.read_document(fact)) is not None:
            text = json_text.unfold(heading.rest, layout)
            room.take(len(text or ""))
            return None if text is None else Stretch(text, numbered=False, lines=[])
    return _read_output(heading, first, Place(label, numbered=False), shown, room)


def _reading(reading: numbered_file.Reading, text: str, label: str, shown: Shown) -> View:
    lines = reading.lines
    blocks = numbered_file.ranges(lines)
    starts = {first for first, _ in blocks}
    items = shown.refer(Place(label, numbered=True), lines, [line.number in starts for line in lines])
    fact = statements.write_numbered([] if numbered_file.is_plain(lines) else blocks)
    kind = "numbered-file+history" if _refers(items) else "numbered-file"
    return View(kind, (fact,), numbered_file.write(items, reading.gutter), text)


def _read_reading(
    text: str, blocks: Sequence[tuple[int, int]], place: Place, shown: Shown, room: Room
) -> Stretch | None:
    found = numbered_file.unfold(text, blocks)
    if found is None:
        return None
    gutter, items = found
    lines = _look_up(items, place, shown, room)
    if lines is None:
        return None
    return Stretch(numbered_file.Reading(gutter, lines).text(), numbered=True, lines=lines)


def _behind(kinds: tuple[str, ...], facts: tuple[str, ...], view: View) -> View:
    """The view of a text that has been reduced before, which `kinds` and `facts` name."""
    return view._replace(kind="+".join(filter(None, (*kinds, view.kind))), facts=(*facts, *view.facts))


def _output(items: Sequence[Item], text: str) -> View:
    """The view as lines and references."""
    references = [item for item in items if isinstance(item, Reference)]
    if not references:
        return View("", (), text, text)
    own = sum(item.label == statements.THE_RESULT for item in references)
    kinds = ["history"] * (own < len(references)) + ["repeated-runs"] * (own > 0)
    texts = [statements.write_reference(item) if isinstance(item, Reference) else item.text for item in items]
    return View("+".join(kinds), (statements.SHOWN_ABOVE,), "\n".join(texts), text)


def _shortened(items: Sequence[Item], fails: Sequence[bool], text: str) -> View:
    """The view as lines and references, with what they share stated once.

    `fails` says of the lines that `text` has which may tell of a failure.
    """
    whole = _output(items, text)
    texts = whole.text.split("\n")
    kinds = [whole.kind] * bool(whole.kind)
    facts = [*whole.facts]
    if (grouped := search_hits.group(texts)) is not None:
        kinds.append("search-hits")
        facts.append(statements.write_grouped(grouped.base))
        return View("+".join(kinds), tuple(facts), "\n".join(grouped.lines), text)
    if facts:
        fails = failures.find(texts)
    if (folded := repeated_lines.fold(texts, fails)) is not None:
        kinds.append("repeated-lines")
        facts.append(statements.REPEATS)
        texts = folded
        fails = failures.find(texts)
    if (folded := alike_lines.fold(texts, _stays(texts, fails))) is not None:
        kinds.append("alike-lines")
        facts.append(statements.PATTERNS)
        texts = folded
    return View("+".join(kinds), tuple(facts), "\n".join(texts), text)


def _refers(items: Sequence[Item]) -> bool:
    return any(isinstance(item, Reference) for item in items)


def _stays(texts: Sequence[str], fails: Sequence[bool]) -> list[bool]:
    """Which lines are not to be taken apart: those that tell of a failure or where it is, and statements of ours."""
    locations = failures.find_locations(texts)
    return [
        fail or location or (text[:1] == "[" and statements.is_line(text))
        for fail, location, text in zip(fails, locations, texts, strict=True)
    ]


def _read_output(heading: Heading, first: int, place: Place, shown: Shown, room: Room) -> Stretch | None:
    texts: Sequence[str] = heading.rest.split("\n")
    for fact in reversed(heading.facts):
        if (base := statements.read_grouped(fact)) is not None:
            texts = search_hits.ungroup(texts, base, room)
        elif fact == statements.PATTERNS:
            texts = alike_lines.unfold(texts, room)
        elif fact == statements.REPEATS:
            texts = repeated_lines.unfold(texts, room)
    if statements.SHOWN_ABOVE in heading.facts:
        found = _resolve(texts, first, place, shown, room)
        if found is None:
            return None
        texts = found
    return Stretch("\n".join(texts), numbered=False, lines=number_lines(texts, first))


def _resolve(texts: Sequence[str], first: int, place: Place, shown: Shown, room: Room) -> list[str] | None:
    """The lines of an output with every reference replaced by what it stands for; None where one stands for nothing."""
    out: list[str] = []
    for text in texts:
        reference = statements.read_reference(text) if text.startswith("[line") else None
        if reference is None or reference.first != first + len(out):
            out.append(text)
            continue
        own = reference.label == statements.THE_RESULT
        found = repeated_runs.look_up(reference, out, first) if own else shown.look_up(place, reference)
        if found is None:
            return None
        room.take_lines(found)
        out += found
    return out


def _look_up(items: Iterable[Item], place: Place, shown: Shown, room: Room) -> list[Line] | None:
    """The lines of a reading with every reference replaced by what it stands for; None where one does for nothing."""
    lines: list[Line] = []
    for item in items:
        if isinstance(item, Line):
            lines.append(item)
            continue
        texts = shown.look_up(place, item)
        if texts is None:
            return None
        room.take_lines(texts)
        lines += number_lines(texts, item.first)
    return lines

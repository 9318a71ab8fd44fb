"""One tool result's text: written shorter, and read back.

`fold` goes through the kinds of content and writes the text shorter where that pays; `unfold` undoes it. What `fold`
hands out has been through `unfold` and came back as the client's own text, so a rewrite that could not be undone is
never made.

Reminders of the client (`<system-reminder>…</system-reminder>`) stay where they are, verbatim; the stretches between
them are rewritten each for itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from compression_engine import statements, tokens
from compression_engine.content import alike_lines, failures, numbered_file, repeated_lines, search_hits, terminal
from compression_engine.content.lines import Item, Line, split_positions
from compression_engine.history import Place, Shown
from compression_engine.statements import Reference

__all__ = ["Folded", "Source", "Unfolded", "fold", "unfold"]

# A rewrite must save this many o200k_base tokens in one result.
_BREAK_EVEN = 8
# Below this many characters nothing can.
_LEAST_CHARACTERS = 60
# No client sends results as long as this; looking into them is not worth the time. In characters.
_LONGEST = 1_000_000

_REMINDER = re.compile(r"(<system-reminder>.*?</system-reminder>)", re.DOTALL)


class Source(NamedTuple):
    """What a result belongs to: the id of the tool call, and the file or command that it was about."""

    tool_use_id: str
    label: str


class Folded(NamedTuple):
    """A shorter text for a result. `kind` names what was done, for statistics; tokens are o200k_base."""

    text: str
    kind: str
    tokens_before: int
    tokens_after: int


class Unfolded(NamedTuple):
    """The client's text of a result, and its lines as later results may refer to them."""

    text: str
    lines: tuple[tuple[Place, list[Line]], ...]

    def show(self, shown: Shown) -> None:
        """Record the lines as shown."""
        for place, lines in self.lines:
            shown.add(place, lines)


def fold(text: str, source: Source, shown: Shown, *, may_refer: bool = True) -> Folded | None:
    """A shorter way to write `text`, or None. `may_refer` is False where earlier results may be gone for the reader."""
    if not _LEAST_CHARACTERS <= len(text) <= _LONGEST:
        return None
    if statements.stand_in(text):
        return None  # ours already, or a look-alike: either way it is left as it is
    code = statements.code_for(source.tool_use_id)
    earlier = shown if may_refer else Shown()
    out = []
    kinds = []
    first = 1
    for at, part in enumerate(_REMINDER.split(text)):
        shorter = None if at % 2 else _fold_part(part, first, code, source.label, earlier)
        out.append(shorter[0] if shorter else part)
        if shorter:
            kinds.append(shorter[1])
        first += part.count("\n")
    if not kinds:
        return None
    folded = "".join(out)
    before, after = tokens.count(text), tokens.count(folded)
    if before - after < _BREAK_EVEN:
        return None
    return Folded(folded, "+".join(dict.fromkeys(kinds)), before, after)


def unfold(text: str, source: Source, shown: Shown) -> Unfolded:
    """The text that `fold` was given, or `text` itself where nothing of ours stands in it."""
    code = statements.code_for(source.tool_use_id)
    out = []
    lines = []
    first = 1
    for at, part in enumerate(_REMINDER.split(text)):
        restored = part
        if at % 2 == 0:
            restored, place, its_lines = _unfold_part(part, first, code, source.label, shown)
            lines.append((place, its_lines))
        out.append(restored)
        first += restored.count("\n")
    return Unfolded("".join(out), tuple(lines))


def _fold_part(text: str, first: int, code: str, label: str, shown: Shown) -> tuple[str, str] | None:
    """`text` written shorter, and the kind; None where that cannot be done or cannot be undone."""
    reading = numbered_file.read(text)
    if reading is not None:
        written, facts, kind = _fold_reading(reading, label, shown)
        target = text
    else:
        target = terminal.shown(text)
        written, facts, kind = _fold_output(target, first, label, shown)
        if target != text:
            facts, kind = (statements.NO_CODES, *facts), "terminal" + ("+" + kind if kind else "")
    if not facts:
        return None
    out = statements.write_heading(code, facts) + written
    if len(out) >= len(text) or _unfold_part(out, first, code, label, shown)[0] != target:
        return None
    return out, kind


def _fold_reading(reading: numbered_file.Reading, label: str, shown: Shown) -> tuple[str, tuple[str, ...], str]:
    lines = reading.lines
    blocks = numbered_file.ranges(lines)
    stated = [] if numbered_file.is_plain(lines) else blocks
    starts = {first for first, _ in blocks}
    items = shown.refer(Place(label, numbered=True), lines, [line.number in starts for line in lines])
    kind = "numbered-file" + ("+history" if len(items) < len(lines) else "")
    return numbered_file.write(items, reading.gutter), (statements.write_numbered(stated),), kind


def _fold_output(text: str, first: int, label: str, shown: Shown) -> tuple[str, tuple[str, ...], str]:
    lines = split_positions(text, first)
    items = shown.refer(Place(label, numbered=False), lines, [failures.is_failure(line.text) for line in lines])
    texts = [statements.write_reference(item) if isinstance(item, Reference) else item.text for item in items]
    facts: tuple[str, ...] = ()
    kinds = []
    if len(items) < len(lines):
        facts, kinds = (statements.SHOWN_ABOVE,), ["history"]
    if grouped := search_hits.group(texts):
        fact = statements.write_grouped(grouped.base)
        return "\n".join(grouped.lines), (*facts, fact), "+".join([*kinds, "search-hits"])
    if folded := repeated_lines.fold(texts):
        texts, facts, kinds = folded, (*facts, statements.REPEATS), [*kinds, "repeated-lines"]
    if folded := alike_lines.fold(texts, [_stays(line) for line in texts]):
        texts, facts, kinds = folded, (*facts, statements.PATTERNS), [*kinds, "alike-lines"]
    return "\n".join(texts), facts, "+".join(kinds)


def _stays(line: str) -> bool:
    """Whether a line is not to be taken apart: it tells of a failure or names a place in the source, or is ours."""
    return failures.is_failure(line) or failures.is_location(line) or statements.stand_in(line)


def _unfold_part(text: str, first: int, code: str, label: str, shown: Shown) -> tuple[str, Place, list[Line]]:
    """The client's text, the place that it shows lines of, and these lines."""
    heading = statements.read_heading(text, code)
    if heading is None:
        reading = numbered_file.read(text)
        if reading is not None:
            return text, Place(label, numbered=True), reading.lines
        return text, Place(label, numbered=False), split_positions(text, first)
    blocks = statements.read_numbered(heading.facts[0])
    if blocks is not None:
        place = Place(label, numbered=True)
        found = numbered_file.unfold(heading.rest, blocks)
        lines = None if found is None else _look_up_all(found[1], place, shown)
        if found is None or lines is None:
            return text, place, []
        reading = numbered_file.Reading(found[0], lines)
        return reading.text(), place, lines
    place = Place(label, numbered=False)
    texts: Sequence[str] = heading.rest.split("\n")
    for fact in heading.facts:
        if (base := statements.read_grouped(fact)) is not None:
            texts = search_hits.ungroup(texts, base)
    if statements.PATTERNS in heading.facts:
        texts = alike_lines.unfold(texts)
    if statements.REPEATS in heading.facts:
        texts = repeated_lines.unfold(texts)
    lines = _look_up_all(_positions(texts, first), place, shown)
    if lines is None:
        return text, place, []
    return "\n".join(line.text for line in lines), place, lines


def _positions(texts: Sequence[str], first: int) -> Iterator[Item]:
    """The lines of an output with the references among them."""
    number = first
    for text in texts:
        reference = statements.read_reference(text)
        if reference is not None and reference.first == number:
            yield reference
            number = reference.last + 1
        else:
            yield Line(number, text)
            number += 1


def _look_up_all(items: Sequence[Item] | Iterator[Item], place: Place, shown: Shown) -> list[Line] | None:
    lines = []
    for item in items:
        if isinstance(item, Line):
            lines.append(item)
            continue
        texts = shown.look_up(place, item)
        if texts is None:
            return None
        lines += [Line(item.first + offset, text) for offset, text in enumerate(texts)]
    return lines

"""One tool result's text: written shorter, and read back.

`fold` writes the text shorter where that pays; `unfold` undoes it. What `fold` hands out has been read back and came
back as the client's own text, so a rewrite that could not be undone is never made.

The text is taken in stretches. Reminders of the client (`<system-reminder>…</system-reminder>`) stay where they are,
verbatim, and end a stretch; so does the text in front of a numbered reading or a JSON document. Each stretch that is
rewritten has a heading of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from compression_engine import reminders, statements, tokens, views
from compression_engine.change import ResultChange
from compression_engine.content import numbered_file
from compression_engine.content.lines import Line
from compression_engine.content.room import LONGEST, Room, TooLongError
from compression_engine.content.words import differing, least_tokens
from compression_engine.history import Place, Shown

__all__ = ["Folded", "ResultChange", "Source", "Unfolded", "fold", "unfold"]

# A rewrite must save this many o200k_base tokens in one result.
_BREAK_EVEN = 8
# Below this many characters nothing can.
_LEAST_CHARACTERS = 60

# The kinds that leave out lines, or their numbers, and change no word of the others.
_LEAVES_OUT = frozenset({"numbered-file", "history", "repeated-runs"})
_WORDS_OF_A_STATEMENT = 8
_TOKENS_OF_A_WORD = 3

# The tokens of texts that differ in more than this are counted as a whole, as somebody will want to know them.
_MOST_DIFFERING = 0.7

_DOCUMENT = re.compile(r"^(?:\{\s*[\"}]|\[\s*[\[{\"\d\]-])", re.MULTILINE)


class Source(NamedTuple):
    """What a result belongs to: the tool call, the file or command that it was about, and whether it failed."""

    tool_use_id: str
    label: str
    is_error: bool = False


class Folded(NamedTuple):
    """A shorter text for a result, what was done, and what `unfold` makes of the text."""

    text: str
    change: ResultChange
    unfolded: Unfolded


class Unfolded(NamedTuple):
    """The client's text of a result, and its lines as later results may refer to them."""

    text: str
    label: str
    readings: list[list[Line]]
    output: list[Line]

    def show(self, shown: Shown) -> None:
        """Record the lines as shown."""
        for lines in self.readings:
            shown.add(Place(self.label, numbered=True), lines)
        shown.add(Place(self.label, numbered=False), self.output)


def fold(text: str, source: Source, shown: Shown, *, may_refer: bool = True) -> Folded | None:
    """A shorter way to write `text`, or None. `may_refer` is False where earlier results may be gone for the reader."""
    if not _LEAST_CHARACTERS <= len(text) <= LONGEST:
        return None
    if statements.stand_in(text):
        return None  # ours already, or a look-alike: either way it is left as it is
    earlier = shown if may_refer else Shown()
    pieces: list[_Piece] = []
    first = 1
    for at, part in enumerate(reminders.split(text)):
        pieces += [_Piece(part, is_reminder=True)] if at % 2 else _written(part, first, source, earlier)
        first += part.count("\n")
    kinds = dict.fromkeys(piece.view.kind for piece in pieces if piece.view)
    if not kinds:
        return None
    folded = "".join(piece.text for piece in pieces)
    change = ResultChange("+".join(kinds), text, folded)
    if not _surely_pays(text, folded, kinds) and not _pays(text, folded, change):
        return None
    # Every stretch has been read back. So the whole can be, if it is cut into the same.
    if _pieces(folded, source) != [_Piece(piece.text, piece.is_reminder) for piece in pieces]:
        return None
    return Folded(folded, change, _unfolded(pieces, source, earlier))


def _surely_pays(text: str, folded: str, kinds: Iterable[str]) -> bool:
    """Whether it can be told without counting tokens, which takes longer than all else, that `folded` has fewer.

    Where lines are left out or lose their numbers, and all others stay as they are, every word that is gone was a token
    at least; a word of a statement is three at most.
    """
    if not _LEAVES_OUT.issuperset(part for kind in kinds for part in kind.split("+")):
        return False
    added = _WORDS_OF_A_STATEMENT * (1 + folded.count("[line") + folded.count("[view "))
    return len(text.split()) - len(folded.split()) - (_TOKENS_OF_A_WORD - 1) * added >= _BREAK_EVEN


def _pays(text: str, folded: str, change: ResultChange) -> bool:
    """Whether `folded` has so many fewer tokens. What both texts say is not counted, nor what words tell already."""
    gone, new = differing(text, folded)
    if len(gone) > _MOST_DIFFERING * len(text):
        enough = change.tokens_after + _BREAK_EVEN
        return least_tokens(text) >= enough or change.tokens_before >= enough
    enough = tokens.count(new) + _BREAK_EVEN
    return least_tokens(gone) >= enough or tokens.count(gone) >= enough


def unfold(text: str, source: Source, shown: Shown) -> Unfolded:
    """The text that `fold` was given, or `text` itself where nothing of ours stands in it."""
    if len(text) <= LONGEST:
        with suppress(TooLongError):
            return _unfolded(_pieces(text, source), source, shown)
    return Unfolded(text, source.label, [], [])


class _Piece(NamedTuple):
    """A stretch or a reminder as it is written. `view` is how, where `fold` has found a shorter way."""

    text: str
    is_reminder: bool = False
    view: views.View | None = None


def _pieces(text: str, source: Source) -> list[_Piece]:
    """The pieces that a written text consists of."""
    code = statements.code_for(source.tool_use_id)
    pieces = []
    for at, part in enumerate(reminders.split(text)):
        if at % 2:
            pieces.append(_Piece(part, is_reminder=True))
        else:
            pieces += [_Piece(stretch) for stretch in statements.split_headings(part, code)]
    return pieces


def _unfolded(pieces: Iterable[_Piece], source: Source, shown: Shown) -> Unfolded:
    """What the pieces stand for."""
    code = statements.code_for(source.tool_use_id)
    out = []
    readings = []
    output: list[Line] = []
    room = Room()
    first = 1
    for text, is_reminder, view in pieces:
        if is_reminder:
            out.append(text)
            first += text.count("\n")
            continue
        stretch = view.stretch if view else None
        if stretch is None:
            heading = statements.read_heading(text, code)
            stretch = views.read(heading, first, source.label, shown, room) if heading else None
        if stretch is None:
            stretch = views.read_plain(text, first)
        if stretch.numbered:
            readings.append(stretch.lines)
        else:
            output += stretch.lines
        out.append(stretch.text)
        first += stretch.text.count("\n")
    return Unfolded("".join(out), source.label, readings, output)


def _written(part: str, first: int, source: Source, shown: Shown) -> list[_Piece]:
    """The stretches of what stands between two reminders."""
    cut, document = _cut(part)
    if cut:
        behind = _piece(part[cut:], first + part.count("\n", 0, cut), source, shown, document)
        # A stretch reaches up to the next heading: without one behind the cut, it is all one.
        if behind.view is not None:
            return [_piece(part[:cut], first, source, shown), behind]
    return [_piece(part, first, source, shown)]


def _cut(part: str) -> tuple[int, views.View | None]:
    """Where in `part` a numbered reading or a JSON document starts behind other text, and its view if it has one.

    0 where none does.
    """
    cut = numbered_file.start(part)
    if cut:
        return cut, None
    # A search where every line may match takes longer than to see that no line can.
    found = _DOCUMENT.search(part) if "\n{" in part or "\n[" in part else None
    document = views.view_of_document(part[found.start() :]) if found and found.start() else None
    return (found.start(), document) if found and document else (0, None)


def _piece(stretch: str, first: int, source: Source, shown: Shown, document: views.View | None = None) -> _Piece:
    """The stretch in its shortest view that can be read back, with a heading, or as it is where none is shorter."""
    code = statements.code_for(source.tool_use_id)
    best: views.View | None = None
    if source.is_error:
        failure = views.view_of_failure(stretch)
        candidates: Iterable[views.View] = [failure] if failure else []
    else:
        candidates = views.views_of(stretch, first, source.label, shown, document)
    for view in candidates:
        text = statements.write_heading(code, view.facts) + view.text
        if len(text) >= len(best.text if best else stretch):
            continue
        back = view.stretch
        if back is None:
            heading = statements.read_heading(text, code)
            back = views.read(heading, first, source.label, shown, Room()) if heading else None
        if back is not None and back.text == view.original:
            best = view._replace(text=text, stretch=back)
    return _Piece(best.text if best else stretch, view=best)

from __future__ import annotations

from compression_engine.content.lines import Line, split_positions
from compression_engine.history import Place, Shown, edit_of
from compression_engine.statements import THE_EDIT, Reference
from tests.compression_engine.bodies import source_lines

FILE = Place("src/a.py", numbered=True)
LINES = source_lines(40)


def at(first: int, lines: list[str]) -> list[Line]:
    return [Line(first + count, line) for count, line in enumerate(lines)]


def refer(shown: Shown, place: Place, lines: list[Line], stays: set[int] | None = None) -> list[object]:
    items = shown.refer(place, lines, [line.number in (stays or set()) for line in lines])
    for item in items:
        if isinstance(item, Reference):
            texts = shown.look_up(place, item)
            assert texts == [line.text for line in lines if item.first <= (line.number or 0) <= item.last]
    return list(items)


def test_the_same_lines_of_the_same_file() -> None:
    shown = Shown()
    shown.add(FILE, at(1, LINES))
    assert refer(shown, FILE, at(1, LINES)) == [Reference(1, 40, 1)]
    assert refer(shown, FILE, at(11, LINES[10:20])) == [Reference(11, 20, 11)]


def test_lines_moved_by_an_edit() -> None:
    shown = Shown()
    shown.add(FILE, at(1, LINES))
    edited = [*LINES[:10], "new = 1", "newer = 2", *LINES[10:]]
    assert refer(shown, FILE, at(1, edited)) == [
        Reference(1, 10, 1),
        Line(11, "new = 1"),
        Line(12, "newer = 2"),
        Reference(13, 42, 11),
    ]


def test_lines_of_another_file() -> None:
    shown = Shown()
    shown.add(FILE, at(1, LINES))
    assert refer(shown, Place("cat src/a.py", numbered=False), split_positions("\n".join(LINES[5:25]), 1)) == [
        Reference(1, 20, 6, "a.py")
    ]


def test_a_file_is_named_by_as_much_of_its_path_as_no_other_has() -> None:
    shown = Shown()
    shown.add(Place("/shop/src/a.py", numbered=True), at(1, LINES))
    there = Place("/shop/src/b.py", numbered=True)
    assert refer(shown, there, at(1, LINES)) == [Reference(1, 40, 1, "a.py")]
    shown.add(Place("/shop/tests/a.py", numbered=True), at(1, ["other = 1"] * 4))
    assert refer(shown, there, at(1, LINES)) == [Reference(1, 40, 1, "src/a.py")]
    shown.add(Place("src/a.py", numbered=True), at(1, ["third = 1"] * 4))
    assert refer(shown, there, at(1, LINES)) == [Reference(1, 40, 1, "shop/src/a.py")]
    assert shown.look_up(there, Reference(1, 4, 1, "a.py")) is None
    assert shown.look_up(there, Reference(1, 4, 1, "src/a.py")) == ["third = 1"] * 4


def test_what_is_no_path_is_named_whole() -> None:
    shown = Shown()
    for label in ("cat /shop/src/a.py", "a.py"):
        shown.add(Place(label, numbered=False), at(1, LINES[:20]))
        assert refer(shown, Place("x", numbered=True), at(1, LINES[:20])) == [Reference(1, 20, 1, label)]


def test_what_the_assistant_put_into_the_file() -> None:
    shown = Shown()
    shown.add(edit_of("src/a.py"), split_positions("\n".join(LINES[:8]), 1))
    assert refer(shown, FILE, at(31, LINES[:8])) == [Reference(31, 38, 1, THE_EDIT)]
    assert refer(shown, Place("src/b.py", numbered=True), at(31, LINES[:8])) == at(31, LINES[:8])


def test_a_line_shown_since_with_another_text_is_not_referred_to() -> None:
    shown = Shown()
    shown.add(FILE, at(1, LINES))
    shown.add(FILE, at(5, ["other = 1"] * 4))
    items = refer(shown, FILE, at(1, LINES))
    assert items == [Reference(1, 4, 1), *at(5, LINES[4:8]), Reference(9, 40, 9)]


def test_an_output_is_replaced_by_the_next_of_the_same_command() -> None:
    shown = Shown()
    status = Place("git status", numbered=False)
    shown.add(status, split_positions("\n".join(LINES), 1))
    shown.add(status, split_positions("\n".join(LINES[:4]), 1))
    assert shown.look_up(status, Reference(1, 4, 1)) == LINES[:4]
    assert shown.look_up(status, Reference(1, 5, 1)) is None


def test_few_or_short_lines_are_shown_again() -> None:
    shown = Shown()
    shown.add(FILE, at(1, [*["a = 1", "b = 2"], *["}"] * 20]))
    assert refer(shown, FILE, at(1, ["a = 1", "b = 2"])) == at(1, ["a = 1", "b = 2"])
    assert refer(shown, FILE, at(3, ["}"] * 20)) == at(3, ["}"] * 20)


def test_a_single_long_line_is_referred_to_at_its_place_only() -> None:
    shown = Shown()
    long = "The file was changed as asked, and what stands around the changed lines now is this, numbered:"
    shown.add(FILE, at(1, [long]))
    assert refer(shown, FILE, at(1, [long])) == [Reference(1, 1, 1)]
    assert refer(shown, FILE, at(2, [long])) == at(2, [long])


def test_what_stays_is_shown() -> None:
    shown = Shown()
    shown.add(FILE, at(1, LINES))
    assert refer(shown, FILE, at(1, LINES), stays={1, 20}) == [
        Line(1, LINES[0]),
        Reference(2, 19, 2),
        Line(20, LINES[19]),
        Reference(21, 40, 21),
    ]


def test_a_label_that_cannot_stand_in_a_line_is_not_named() -> None:
    shown = Shown()
    for label in ("cat a\ncat b", "x" * 201, ""):
        shown.add(Place(label, numbered=False), split_positions("\n".join(LINES), 1))
        assert refer(shown, FILE, at(1, LINES)) == at(1, LINES)


def test_a_reference_to_what_was_never_shown_stands_for_nothing() -> None:
    shown = Shown()
    shown.add(FILE, at(1, LINES))
    assert shown.look_up(FILE, Reference(1, 10**9, 1)) is None
    assert shown.look_up(FILE, Reference(1, 4, 1, "src/b.py")) is None
    assert shown.look_up(Place("src/b.py", numbered=True), Reference(1, 4, 1)) is None

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compression_engine import statements
from compression_engine.statements import Reference

NUMBERS = st.integers(1, 10**8)
LABELS = st.none() | st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=200)


@given(NUMBERS, st.integers(0, 10**8), NUMBERS, LABELS)
def test_references_come_back(first: int, more: int, source: int, label: str | None) -> None:
    reference = Reference(first, first + more, source, label)
    line = statements.write_reference(reference)
    assert statements.read_reference(line) == reference
    assert statements.stand_in(f"x\n{line}\ny")


@given(NUMBERS)
def test_repeats_come_back(times: int) -> None:
    line = statements.write_repeat(times)
    assert statements.read_repeat(line) == times
    assert statements.stand_in(f"x\n{line}\ny")


@given(st.lists(st.tuples(NUMBERS, NUMBERS)))
def test_ranges_come_back(ranges: list[tuple[int, int]]) -> None:
    assert statements.read_numbered(statements.write_numbered(ranges)) == ranges


@pytest.mark.parametrize("base", ["", "/home/dev/project/", "C:\\x\\"])
def test_the_base_of_hits_comes_back(base: str) -> None:
    assert statements.read_grouped(statements.write_grouped(base)) == base
    assert statements.read_grouped(statements.NO_CODES) is None


def test_a_heading_is_read_only_by_the_result_that_it_belongs_to() -> None:
    code = statements.code_for("toolu_1")
    text = statements.write_heading(code, (statements.write_grouped(""), statements.NO_CODES)) + "rest\n"
    assert statements.read_heading(text, code) == ((statements.write_grouped(""), statements.NO_CODES), "rest\n")
    assert statements.read_heading(text, statements.code_for("toolu_2")) is None
    assert statements.stand_in(text)


def test_codes_are_the_same_in_every_process() -> None:
    assert statements.code_for("toolu_01A") == "798577"


@pytest.mark.parametrize(
    "line",
    [
        "[lines 5-3 as shown above]",
        "[lines 1-5 as 1-4 above]",
        " [lines 1-5 as shown above]",
        "[lines 1-5 as shown above] ",
        "[lines 1-5]",
        "lines 1-5 as shown above",
    ],
)
def test_what_only_resembles_a_reference_is_none(line: str) -> None:
    assert statements.read_reference(line) is None


def test_ordinary_text_holds_no_statement() -> None:
    assert not statements.stand_in("see lines 1-5 as shown above, [view all], [line 3]\n[lines]")


def test_statements_are_no_instructions() -> None:
    written = [
        statements.write_heading("123456", (statements.write_numbered([]),)),
        statements.write_heading("123456", (statements.write_grouped(""), statements.NO_CODES, statements.REPEATS)),
        statements.write_reference(Reference(1, 9, 1)),
        statements.write_repeat(3),
    ]
    for imperative in ("please", "you", "must", "should", "ignore", "use", "call", "read", "see", "do not"):
        assert not any(imperative in text.lower().split() for text in written)

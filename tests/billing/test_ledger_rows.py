from __future__ import annotations

import math
import sqlite3

import pytest
from hypothesis import given

from billing.entry import Change, Entry
from billing.ledger_rows import COLUMNS, entry_of, row_of
from billing.ledger_schema import migrate
from billing.usage import Usage
from tests.billing.entries import ENTRIES, entry


def test_the_columns_are_those_of_the_table() -> None:
    connection = sqlite3.connect(":memory:", autocommit=True)
    migrate(connection)
    columns = [row[1] for row in connection.execute("PRAGMA table_info(requests)")]
    connection.close()
    assert columns == ["id", *COLUMNS]


@given(ENTRIES)
def test_an_entry_comes_back(one: Entry) -> None:
    assert entry_of(row_of(one)) == one


def test_names_are_cut_short_and_hold_nothing_that_does_not_print() -> None:
    changes = (Change("tool\n" + "x" * 200, "kind\x00", 1, 2, 1),)
    one = entry(deployment="a\nb\ud800" + "c" * 200, changes=changes)
    back = entry_of(row_of(one))
    assert back.deployment == "a?b?" + "c" * 96
    assert back.changes == (Change("tool?" + "x" * 95, "kind?", 1, 2, 1),)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_none(number: float) -> None:
    assert entry_of(row_of(entry(added_ms=number))).added_ms == 0.0


def test_numbers_that_the_file_cannot_hold_are_cut() -> None:
    back = entry_of(row_of(entry(usage=Usage(output=10**30), bytes_before=-(10**30))))
    assert back.usage is not None
    assert back.usage.output == 2**62
    assert back.bytes_before == -(2**62)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", math.inf),
        ("at", None),
        ("session", b"bytes"),
        ("status", "200"),
        ("status", 200.5),
        ("bytes_before", None),
        ("ending", "in another way"),
        ("gap", "long"),
        ("output", None),
        ("uncached", None),
        ("cache_read", "many"),
        ("changes", "no JSON"),
        ("changes", "{}"),
        ("changes", "[7]"),
        ("changes", '[["Read", "numbered", 1, 2]]'),
        ("changes", '[["Read", "numbered", 1, 2, "3"]]'),
        ("changes", '[["Read", "numbered", true, 2, 3]]'),
        ("changes", "[" * 99_999),
    ],
)
def test_what_is_no_entry_is_refused(column: str, value: object) -> None:
    row = list(row_of(entry(usage=Usage(uncached=1, output=2))))
    row[COLUMNS.index(column)] = value
    with pytest.raises(ValueError):  # noqa: PT011 - of whatever words, json's among them
        entry_of(row)


def test_a_row_has_all_its_columns() -> None:
    row = row_of(entry())
    for wrong in (row[:-1], (*row, 1), ()):
        with pytest.raises(ValueError, match="columns"):
            entry_of(wrong)

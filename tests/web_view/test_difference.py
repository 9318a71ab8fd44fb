from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from web_view.difference import cut, difference, lines_of

LINES = st.lists(st.sampled_from(["a", "b", "c", "", "1\ta"]), min_size=1, max_size=25)
HUNK = re.compile(r"^@@ -(\d+),(\d+) \+(\d+),(\d+) @@\n", re.MULTILINE)


@given(LINES, LINES)
def test_every_line_stands_where_the_hunk_says(came: list[str], went: list[str]) -> None:
    hunks = HUNK.split(difference("\n".join(came), "\n".join(went)) + "\n")
    assert hunks[0].strip() == ""
    rest_came, rest_went = list(came), list(went)
    for at in range(len(hunks) - 5, 0, -5):
        first, count, start, size = map(int, hunks[at : at + 4])
        shown = hunks[at + 4].removesuffix("\n").split("\n")
        old = [line[1:] for line in shown if line[0] in " -"]
        new = [line[1:] for line in shown if line[0] in " +"]
        assert old == came[first - 1 : first - 1 + count]
        assert new == went[start - 1 : start - 1 + size]
        del rest_came[first - 1 : first - 1 + count], rest_went[start - 1 : start - 1 + size]
    assert rest_came == rest_went, "what is not shown is the same"


def test_texts_that_are_the_same_differ_in_nothing() -> None:
    assert difference("a\nb", "a\nb") == ""


def test_line_numbers_can_be_left_out_of_account() -> None:
    came, went = "  8\ta\n  9\tb\n 10\tc", "[heading]\n8\ta\nb\nd"
    shown = difference(came, went, numbers_count=False).split("\n")
    assert shown == ["@@ -1,3 +1,4 @@", "+[heading]", "   8\ta", "   9\tb", "- 10\tc", "+d"]
    assert "-  9\tb" in difference(came, went).split("\n")


def test_many_lines_in_a_row_are_shown_in_part() -> None:
    came = [f"line {number}" for number in range(100)]
    shown = difference("\n".join(came), "one").split("\n")
    assert shown[30:33] == ["-line 29", "- … 65 more lines", "-line 95"]
    assert len(shown) == 1 + 30 + 1 + 5 + 1
    assert "more lines" not in difference("\n".join(came[:36]), "one"), "a line for one line saves none"


def test_long_lines_are_cut() -> None:
    assert "-" + "x" * 1_000 + " … 500 more characters" in difference("x" * 1_500, "y")
    assert cut("abc", 3) == "abc"


def test_lines_are_counted_on_both_sides() -> None:
    assert lines_of("a\nb", "a") == 3

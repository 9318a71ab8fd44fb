from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compression_engine.content.room import Room
from compression_engine.content.search_hits import group, ungroup


def test_the_path_is_written_once() -> None:
    hits = ["src/a.py:1:import os", "src/a.py:9:os.walk", "src/b-c.py:3:x", "src/b-c.py:14:y"]
    assert group(hits) == (["src/a.py", "1:import os", "9:os.walk", "src/b-c.py", "3:x", "14:y"], "")


def test_context_lines_belong_to_the_hits_beside_them() -> None:
    hits = [
        "a-1.py-1-before",
        "a-1.py:2:hit",
        "a-1.py-3-after",
        "--",
        "a-1.py-8-before",
        "a-1.py:9:hit",
        "--",
        "b.py:1:x",
    ]
    assert group(hits) == (["a-1.py", "1-before", "2:hit", "3-after", "--", "8-before", "9:hit", "--", "b.py:1:x"], "")


def test_absolute_paths_of_context_lines_are_stated_once() -> None:
    hits = ["/w/p/src/a.py-8-x = 1", "src/a.py-9-if x:", "src/a.py:10:    y", "/w/p/src/a.py-11-", "src/a.py-12-else:"]
    assert group(hits) == (["/w/p/src/a.py", "8-x = 1", "9-if x:", "10:    y", "11-", "12-else:"], "/w/p/")
    assert ungroup(*(group(hits) or ([], "")), Room()) == hits


def test_a_single_hit_stays_as_it_is() -> None:
    hits = ["a.py:1:x", "b.py:1:x", "b.py:2:y", "c.py:7:z"]
    assert group(hits) == (["a.py:1:x", "b.py", "1:x", "2:y", "c.py:7:z"], "")


@pytest.mark.parametrize(
    "lines",
    [
        ["12:30:15 started", "12:30:16 stopped"],
        ["2026-01-02T12:30:15 a", "2026-01-02T12:31:15 b"],
        ["error: x", "note: y"],
        [],
    ],
)
def test_what_is_no_path_is_not_grouped(lines: list[str]) -> None:
    assert group(lines) is None


PATHS = st.sampled_from(["a.py", "src/b.py", "a.py-1-", "c:\\d.py", "C:\\x\\d.py", "2024-01-02.log", "x-3-y/z.go"])
HITS = st.builds(
    "{}{}{}{}{}".format, PATHS, st.just(":"), st.integers(1, 99), st.just(":"), st.sampled_from(["", "x", "1:2"])
)
CONTEXT = st.builds("{}-{}-{}".format, PATHS, st.integers(1, 99), st.sampled_from(["", "x", "3-4"]))
LINES = st.lists(HITS | CONTEXT | PATHS | st.sampled_from(["--", "", "3:x", "4-y", "Found 2 files"]), max_size=20)


@given(LINES)
def test_hits_come_back_unless_the_text_is_ambiguous(lines: list[str]) -> None:
    grouped = group(lines)
    if grouped is None:
        return
    plain = [line for line in lines if line == "--" or (":" in line[3:] and not line[0].isdigit())]
    if plain == lines and "2024" not in "".join(lines):
        assert ungroup(*grouped, Room()) == lines

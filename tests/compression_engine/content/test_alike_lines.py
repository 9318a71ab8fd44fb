from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compression_engine.content.alike_lines import fold, unfold
from compression_engine.content.room import Room

PINGS = [f"64 bytes from 10.0.0.1: icmp_seq={n} ttl=57 time={n * 3 % 7}.1 ms" for n in range(5)]
LOG = [f"Jan 12 10:00:00 host-a daemon[4711]: {text}" for text in ("start", "listening on *:80", "", "bye  now ")]


def fold_all(lines: list[str]) -> list[str] | None:
    folded = fold(lines, [False] * len(lines))
    assert folded is None or unfold(folded, Room()) == lines
    return folded


def test_words_that_differ_are_kept() -> None:
    assert fold_all(["PING", *PINGS, ""]) == [
        "PING",
        "[next 5 lines: 64 bytes from 10.0.0.1: icmp_seq=* ttl=57 time=* ms]",
        "0 0.1",
        "1 3.1",
        "2 6.1",
        "3 2.1",
        "4 5.1",
        "",
    ]


def test_what_lines_begin_with_is_stated_once() -> None:
    lines = [line for line in LOG if "*" not in line]
    assert fold_all(lines) == ["[next 3 lines: Jan 12 10:00:00 host-a daemon[4711]: **]", "start", "", "bye  now "]


def test_a_path_is_never_cut() -> None:
    lines = [f"/home/dev/project/src/component_{n}.py" for n in range(20)]
    assert fold_all(lines) is None


def test_lines_that_stay_stand_between_two_patterns() -> None:
    lines = [*PINGS, "error: lost", *PINGS]
    folded = fold(lines, [line.startswith("error") for line in lines])
    assert folded is not None
    assert folded.count("error: lost") == 1
    assert unfold(folded, Room()) == lines


def test_a_short_run_of_closely_alike_lines_goes_before_a_long_one() -> None:
    lines = [
        *(f"ok   service/module/part_{n} coverage: 80.1% of statements" for n in range(4)),
        *(f"ok   x{n} {n}" for n in range(9)),
    ]
    assert (fold_all(lines) or [])[:5] == [
        "[next 4 lines: ok   * coverage: 80.1% of statements]",
        *(f"service/module/part_{n}" for n in range(4)),
    ]


@pytest.mark.parametrize("lines", [[], [""], ["a", "b", "c"], ["*** x y z ***"] * 5, ["one line only"]])
def test_nothing_to_state(lines: list[str]) -> None:
    assert fold_all(lines) is None


WORDS = st.sampled_from(
    ["INFO", "a/b.c", "12", "x-1", "é", "[", " ", "  ", ": ", "*", "=", "\t", "time", "%", "%s", ""]
)


@given(
    st.lists(st.lists(WORDS, max_size=12).map("".join), max_size=30),
    st.lists(st.sampled_from(LOG + PINGS), max_size=20),
)
def test_comes_back(lines: list[str], more: list[str]) -> None:
    fold_all([*lines, *more, *lines])


@given(st.lists(st.sampled_from(["[next 2 lines: a * b]", "[next 9 lines: **]", "x", "", "x y"])))
def test_forged_patterns_raise_nothing(lines: list[str]) -> None:
    assert len(unfold(lines, Room())) <= len(lines)

"""Results that are made to be slow: the work for one grows with its length and not faster.

Nothing here is timed. What is counted are steps of Python code, at one length and at four times that: work that grows
with the length takes four times as many, work that grows with its square up to sixteen times.
Work inside C is not counted. Where it explodes (a regular expression that goes back and back), a test of this file
does not end; where it only grows too fast, `scripts/benchmarks/adversarial_results.py` shows it, run by hand.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from compression_engine.content import terminal
from compression_engine.content.lines import Line
from compression_engine.history import Place, Shown
from compression_engine.results import fold, unfold
from tests.compression_engine.adversarial import CASES, LONGEST, SOURCE, Make, steps, treat

pytestmark = pytest.mark.slow

LENGTH = LONGEST // 8
MOST_TIMES = 5
AT_ONCE = 20  # steps


def grows_too_fast(short: int, long: int) -> bool:
    """Whether work of `short` steps became work of `long` steps at four times the length."""
    return long > MOST_TIMES * short


@pytest.mark.parametrize("make", CASES.values(), ids=CASES.keys())
def test_the_work_grows_with_the_length_and_not_faster(make: Make) -> None:
    short, long = make(LENGTH), make(LENGTH * 4)
    assert len(long) > 2 * len(short)
    treat(short)  # what is made once for all results is made now
    assert not grows_too_fast(steps(partial(treat, short)), steps(partial(treat, long)))


@pytest.mark.parametrize("make", CASES.values(), ids=CASES.keys())
def test_it_comes_back(make: Make) -> None:
    text = make(LONGEST // 20)
    shown = Shown()
    for _ in range(2):
        folded = fold(text, SOURCE, shown)
        back = unfold(folded.text if folded else text, SOURCE, shown)
        assert back.text in (text, terminal.shown(text))
        back.show(shown)


@pytest.mark.parametrize(
    "text",
    ["x" * 2_000_000, "x " * 1_000_000, "a\n" * 200_000, "[" * 300_000, "the same line\n" * 20_000],
    ids=["one word of 2 MB", "one line of 2 MB", "200,000 lines", "300,000 brackets", "20,000 equal lines"],
)
def test_what_is_longer_than_any_result_is_left_alone_at_once(text: str) -> None:
    def leave_alone() -> None:
        assert fold(text, SOURCE, Shown()) is None
        assert unfold(text, SOURCE, Shown()).text == text

    assert steps(leave_alone) < AT_ONCE


# The count itself


def look_at_all(text: str) -> None:
    for _ in text:
        pass


def look_back_at_all(text: str) -> None:
    for at in range(len(text)):
        for _ in text[:at]:
            pass


def look_back_with_a_generator(text: str) -> None:
    for at in range(0, len(text), 10):
        any(letter == "y" for letter in text[:at])


def look_back_with_a_comprehension(text: str) -> None:
    for at in range(0, len(text), 10):
        [letter for letter in text[:at] if letter == "y"]


def look_back_with_a_function(text: str) -> None:
    def is_it(letter: str) -> bool:
        return letter == "y"

    for at in range(0, len(text), 10):
        list(filter(is_it, text[:at]))


@pytest.mark.parametrize(
    ("work", "too_fast"),
    [
        (look_at_all, False),
        (look_back_at_all, True),
        (look_back_with_a_generator, True),
        (look_back_with_a_comprehension, True),
        (look_back_with_a_function, True),
    ],
)
def test_work_that_grows_with_the_square_is_noticed(work: Callable[[str], None], *, too_fast: bool) -> None:
    counted = (steps(partial(work, "x" * length)) for length in (200, 800))
    assert grows_too_fast(*counted) is too_fast


def test_a_square_in_the_engine_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted where every result passes: a step for every tenth pair of lines."""
    add = Shown.add

    def slow(shown: Shown, place: Place, lines: Sequence[Line]) -> None:
        for at in range(0, len(lines), 10):
            for _ in lines[:at]:
                pass
        add(shown, place, lines)

    make = CASES["a numbered file"]
    assert not grows_too_fast(*(steps(partial(treat, make(length))) for length in (LENGTH, LENGTH * 4)))
    monkeypatch.setattr(Shown, "add", slow)
    assert grows_too_fast(*(steps(partial(treat, make(length))) for length in (LENGTH, LENGTH * 4)))


def test_the_count_is_the_same_each_time() -> None:
    text = CASES["rows in rows"](LENGTH // 10)
    treat(text)
    assert len({steps(partial(treat, text)) for _ in range(3)}) == 1


def test_what_other_threads_do_is_not_counted() -> None:
    def beside() -> None:
        other = threading.Thread(target=look_at_all, args=("x" * 1000,))
        other.start()
        other.join()

    alone = steps(partial(look_at_all, "x" * 1000))
    assert steps(beside) < alone


def test_counting_ends_with_the_work() -> None:
    def fail() -> None:
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        steps(fail)
    assert steps(lambda: None) == 1

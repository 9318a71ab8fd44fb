from __future__ import annotations

from collections.abc import Sequence

from hypothesis import example, given
from hypothesis import strategies as st

from compression_engine.content import repeated_runs
from compression_engine.content.lines import Item, Line
from compression_engine.statements import THE_RESULT, Reference

FRAMES = [f'  File "/shop/src/module_{count}.py", line {count * 7}, in function_{count}' for count in range(6)]


def lines(texts: Sequence[str], first: int = 1) -> list[Line]:
    return [Line(first + count, text) for count, text in enumerate(texts)]


def refer(items: Sequence[Item], stays: set[int] | None = None) -> list[Item]:
    first = items[0][0] or 0
    last = max(item.last if isinstance(item, Reference) else item.number or 0 for item in items)
    return repeated_runs.refer(items, [number in (stays or set()) for number in range(first, last + 1)])


def back(items: Sequence[Item]) -> list[Line]:
    """The lines that the items stand for, and that each reference is to lines that are shown."""
    out: list[Line] = []
    shown = {item.number for item in items if isinstance(item, Line)}
    for item in items:
        if isinstance(item, Line):
            out.append(item)
            continue
        assert item.label == THE_RESULT
        count = item.last - item.first + 1
        assert shown >= set(range(item.source_first, item.source_first + count))
        assert item.source_first + count <= item.first
        texts = repeated_runs.look_up(item, [line.text for line in out], items[0][0] or 0)
        assert texts is not None
        out += lines(texts, item.first)
    return out


def test_frames_that_come_again() -> None:
    output = lines(["first failure", *FRAMES, "second failure", *FRAMES[1:], "end"], 5)
    assert refer(output) == [*output[:8], Reference(13, 17, 7, THE_RESULT), output[-1]]


def test_the_longest_run_is_taken() -> None:
    output = lines([*FRAMES[:3], "a", *FRAMES[:4], "b", *FRAMES[:4]])
    assert refer(output, stays={5, 6, 7, 8}) == [*output[:9], Reference(10, 13, 5, THE_RESULT)]


def test_what_stays_is_shown() -> None:
    output = lines([*FRAMES, "between", *FRAMES])
    assert refer(output, stays={11}) == [*output[:7], Reference(8, 10, 1, THE_RESULT), *output[10:]]


def test_what_is_short_or_alone_is_shown() -> None:
    for texts in (["{", "}", ""] * 9, [*FRAMES[:2], "x", *FRAMES[:2]], FRAMES, ["the same line"] * 20, []):
        assert repeated_runs.refer(lines(texts), [False] * len(texts)) == lines(texts)


def test_what_is_referred_to_is_no_source() -> None:
    items: list[Item] = [Reference(1, 6, 1, "other"), Line(7, "x"), *lines(FRAMES, 8)]
    assert refer(items) == items


def test_a_reference_to_what_is_not_there_stands_for_nothing() -> None:
    assert repeated_runs.look_up(Reference(16, 18, 10, THE_RESULT), FRAMES, 10) == FRAMES[:3]
    for reference in (Reference(16, 18, 9, THE_RESULT), Reference(16, 18, 14, THE_RESULT)):
        assert repeated_runs.look_up(reference, FRAMES, 10) is None
    assert repeated_runs.look_up(Reference(16, 18, 10, THE_RESULT), [], 10) is None


TEXTS = st.lists(st.sampled_from([*FRAMES[:4], "", "}", "a longer line that comes again and again in this output"]))


@given(TEXTS, st.sets(st.integers(1, 60), max_size=5), st.integers(1, 99))
@example(FRAMES * 9, set(), 1)
@example([*FRAMES[:2]] * 30, set(), 1)
def test_it_comes_back(texts: list[str], stays: set[int], first: int) -> None:
    if texts:
        assert back(refer(lines(texts, first), stays)) == lines(texts, first)

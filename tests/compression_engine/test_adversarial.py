"""Results that are made to be slow: the work for one grows with its length and not faster.

Measured in CPU time, at one length and at four times that. Work that grows with the square of the length takes up to
sixteen times as long then. What is allowed is less than that and more than what a busy machine adds, and there are
several attempts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice

import pytest

from compression_engine.content import terminal
from compression_engine.history import Shown
from compression_engine.results import Source, fold, unfold

pytestmark = pytest.mark.slow

SOURCE = Source("toolu_1", "./show")
LENGTH = 50_000  # four times that is just below what is looked at at all
MOST_TIMES = 7
NOISE = 0.05  # in seconds
ATTEMPTS = 3

WORDS = [f"{letter * (count % 4 + 1)}{count * 37 % 101}" for count, letter in zip(range(400), cycle("abcdefghij"))]

type Make = Callable[[int], str]


def lines(line: Callable[[int], str]) -> Make:
    """As many lines as are asked for characters; `line` makes one from its number."""

    def make(length: int) -> str:
        out: list[str] = []
        while length > 0:
            out.append(line(len(out)))
            length -= len(out[-1]) + 1
        return "\n".join(out)

    return make


def again(piece: str, end: str = "") -> Make:
    """The piece as often as fits, and an end."""
    return lambda length: piece * ((length - len(end)) // len(piece)) + end


def document(element: Callable[[int], object], **options: int) -> Make:
    """A JSON array; `element` makes an element from its number."""

    def make(length: int) -> str:
        each = len(json.dumps([element(count) for count in range(50)], **options)) // 50  # type: ignore[arg-type]
        return json.dumps([element(count) for count in range(length // each)], **options)  # type: ignore[arg-type]

    return make


def words(first: int, count: int) -> str:
    return " ".join(islice(cycle(WORDS), first % 300, first % 300 + count))


def nested_urls(length: int) -> str:
    value: object = {"url": "https://x.example", "to": "https://x.example/a"}
    for _ in range(min(40, length // 2000)):
        value = {"url": value, "n": 1}
    return json.dumps([value, {"text": "x" * length}])


CASES: dict[str, Make] = {
    # lines and words
    "one long word": again("x"),
    "one long line": again("some words "),
    "blanks": again(" "),
    "empty lines": again("\n"),
    "lines of one character": lines(lambda n: "abcdefghij"[n * 7 % 10]),
    "the same line": again("the same line again and again, word for word\n"),
    "two lines in turn": lines(lambda n: words(n % 2 * 40, 40)),
    "nearly the same line": lines(lambda n: f"the same line again {n} and again, word for {n % 7} word"),
    "nearly the same long line": lines(lambda n: f"{words(0, 60)} {n}"),
    "lines that share less and less": lines(lambda n: f"{words(0, 60 - n % 60)} {words(n, n % 60)}"),
    "long lines that are shifted": lines(lambda n: words(n % 5, 60)),
    "separators": again(", ; : "),
    "gaps": again("* * * *\n"),
    "failures": lines(lambda n: f"error {n}: failed to assert"),
    "failures in one line": again("error "),
    "columns": lines(lambda n: f"{WORDS[n % 400]:<20}{n:>10}  {WORDS[n * 7 % 400]:<10} Running   {n % 60}m"),
    # numbered readings
    "a numbered file": lines(lambda n: f"{n + 1}\t{words(n, 3)}"),
    "a numbered file of empty lines": lines(lambda n: f"{n + 1}\t"),
    "many short numbered blocks": lines(lambda n: f"{n * 3 + n % 2}\t{words(n, 2)}"),
    "the same number": again("7\tx\n"),
    "a numbered block at the end": again("x\n", "1\ta\n2\tb\n"),
    # search hits
    "hits": lines(lambda n: f"src/a{n // 50}.py:{n}: {words(n, 3)}"),
    "hits in turn": lines(lambda n: f"src/a{n % 2}.py:{n}: {words(n, 3)}"),
    "context lines": lines(lambda n: f"src/a.py{':-'[n % 9 > 0]}{n}{':-'[n % 9 > 0]} {words(n, 3)}"),
    "absolute context lines": lines(lambda n: f"a/b.py:{n}:x" if n % 2 else f"/r/a/b.py-{n}-y"),
    "a long path": lambda length: f"/{'x' * (length // 2)}:1: a\n" + "--\n" * (length // 6),
    "colons": again("a:1:"),
    "slashes": again("/"),
    # terminal output
    "colours": again("\x1b[31mred\x1b[0m "),
    "titles without an end": again("\x1b]0;"),
    "sequences without an end": again("\x1b["),
    "erased lines": again("\x1b[2K\x1b[1G"),
    "erased starts": again("\x1b[K\x1b[1G\r", "\n"),
    "overwritten lines": lambda length: ("x" * 50 + "\r") * (length // 51),
    "short states on a long one": lambda length: "x" * (length // 2) + "\r" + "y\r" * (length // 4) + "\n",
    "states that grow": lambda length: "".join("x" * (count % 300) + "\r" for count in range(length // 150)),
    "erases in a state": lambda length: "abc\r" + "\x1b[K" * (length // 3 - 9) + "a\x1b[2Kb\n",
    # JSON
    "brackets": again("["),
    "brackets with numbers": again("[1,"),
    "braces": again('{"a":'),
    "numbers": document(lambda n: n),
    "pairs": document(lambda n: [n, n + 1]),
    "numbers and one string": lambda length: "[" + "1," * (length // 2) + '"a"]',
    "strings": document(lambda n: words(n, 2)),
    "one string": lambda length: json.dumps({"a": "x\n" * (length // 3)}),
    "a string without an end": again('x\\"', ""),
    "a document without an end": lambda length: '{"a": "' + 'x\\"' * (length // 3),
    "rows": document(lambda n: {"id": n, "name": words(n, 2), "size": n * 1.5}),
    "indented rows": document(lambda n: {"id": n, "name": words(n, 2), "size": n * 1.5}, indent=2),
    "rows in rows": document(lambda n: {"a": [{"b": [{"c": n, "d": k} for k in range(4)]} for _ in range(3)]}),
    "keys of their own": document(lambda n: {f"k{n}_{k}": k for k in range(5)}),
    "more and more keys": document(lambda n: {WORDS[k]: 1 for k in range(n % 40)}),
    "keys in either order": document(lambda n: dict([("first", n), ("second", n), ("third", n)][:: (-1) ** n])),
    "JSON lines": lines(lambda n: json.dumps({"a": n, "b": words(n, 2)})),
    "two kinds of documents": lines(lambda n: '{"a":1}' if n % 2 else "[]"),
    "a key many times": again('"a":1,', "{}"),
    "a layout that breaks": lambda length: "[\n  1,\n  2,\n   3," + "\n  4," * (length // 5),
    "text behind a document": lambda length: '{"a": 1}\n' + "text text\n" * (length // 10),
    "many beginnings": lambda length: "x\n" + '{"a": 1, "b": [1, 2\n' * (length // 20),
    "addresses": document(lambda n: {"url": f"https://x.example/{n}", "to": f"https://x.example/{n}/a"}),
    "addresses of addresses": nested_urls,
    # what stands around results
    "reminders": again("<system-reminder>a</system-reminder>"),
    "reminders without an end": again("<system-reminder>"),
    "almost headings": lines(lambda n: f"[ view {n:06}: x]"),
}


def seconds(text: str) -> float:
    """CPU time for the text as a new result, and for the same once more."""

    def runs() -> Iterator[float]:
        for _ in range(2):
            started = time.process_time()
            shown = Shown()
            for _ in range(2):
                folded = fold(text, SOURCE, shown)
                (folded.unfolded if folded else unfold(text, SOURCE, shown)).show(shown)
            yield time.process_time() - started

    return min(runs())


@pytest.mark.parametrize("make", CASES.values(), ids=CASES.keys())
def test_the_work_grows_with_the_length_and_not_faster(make: Make) -> None:
    short, long = make(LENGTH), make(LENGTH * 4)
    assert len(long) > 2 * len(short)
    assert any(seconds(long) <= MOST_TIMES * seconds(short) + NOISE for _ in range(ATTEMPTS))


@pytest.mark.parametrize("make", CASES.values(), ids=CASES.keys())
def test_it_comes_back(make: Make) -> None:
    text = make(LENGTH // 5)
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
    started = time.process_time()
    assert fold(text, SOURCE, Shown()) is None
    assert unfold(text, SOURCE, Shown()).text == text
    assert time.process_time() - started < 10 * NOISE

"""Results that are made to be slow, and a count of the work that they cause.

The work for a result is to grow with its length and not faster. What Python code does for it is counted here, which is
the same number on every machine: `test_adversarial.py`. What goes on inside C (regular expressions, `str.find`) no
such count can see; `scripts/benchmarks/adversarial_results.py` measures it in CPU time, by hand on a quiet machine.
"""

from __future__ import annotations

import gc
import json
import sys
import threading
from collections.abc import Callable
from itertools import cycle, islice

from compression_engine.history import Shown
from compression_engine.results import Source, fold, unfold

__all__ = ["CASES", "LONGEST", "SOURCE", "Make", "steps", "treat"]

SOURCE = Source("toolu_1", "./show")
LONGEST = 200_000
"""Just below what is looked at at all, in characters."""

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

    def dumps(count: int) -> str:
        return json.dumps([element(number) for number in range(count)], **options)  # type: ignore[arg-type]

    def make(length: int) -> str:
        count = length * 50 // len(dumps(50))
        return dumps(count * length // len(dumps(count)))  # later elements are longer than the first ones

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


def treat(text: str) -> None:
    """Do all that is done for the text as a new result, and for the same once more."""
    shown = Shown()
    for _ in range(2):
        folded = fold(text, SOURCE, shown)
        (folded.unfolded if folded else unfold(text, SOURCE, shown)).show(shown)


_EVENTS = sys.monitoring.events
_STEPS = (_EVENTS.PY_START, _EVENTS.PY_RESUME, _EVENTS.JUMP)
_TOOL = 4  # none of the numbers that debuggers, profilers and measures of coverage take


def steps(work: Callable[[], object]) -> int:
    """How many functions `work` calls, generators it resumes and loops it goes round, as far as they are Python's."""
    count, here = 0, threading.get_ident()

    def step(*_: object) -> None:
        nonlocal count
        count += threading.get_ident() == here  # what other threads do is no work of ours

    collects = gc.isenabled()
    gc.disable()  # what others have run at a collection is no work of ours
    sys.monitoring.use_tool_id(_TOOL, "steps")
    try:
        for event in _STEPS:
            sys.monitoring.register_callback(_TOOL, event, step)
        sys.monitoring.set_events(_TOOL, sum(_STEPS))
        work()
    finally:
        sys.monitoring.set_events(_TOOL, 0)
        for event in _STEPS:
            sys.monitoring.register_callback(_TOOL, event, None)
        sys.monitoring.free_tool_id(_TOOL)
        if collects:
            gc.enable()
    return count

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compression_engine import statements
from compression_engine.history import Shown
from compression_engine.results import Source, fold, unfold
from tests.compression_engine.bodies import numbered, source_lines

SOURCE = Source("toolu_1", "src/a.py")
CODE = statements.code_for("toolu_1")
REMINDER = "<system-reminder>\nThis file is short.\n</system-reminder>"
FILE = numbered(source_lines(60))


def fold_text(text: str, shown: Shown | None = None, **options: bool) -> str | None:
    """`fold`, and the promise that it keeps."""
    folded = fold(text, SOURCE, shown or Shown(), **options)
    if folded is None:
        return None
    assert folded.change.tokens_after < folded.change.tokens_before
    assert unfold(folded.text, SOURCE, shown or Shown()).text == text
    return folded.text


def test_a_reading_loses_most_of_its_numbers() -> None:
    text = fold_text(FILE)
    assert text is not None
    assert text.startswith(f"[view {CODE}: every 20th numbered]\n1\t    value_0 = ")


def test_reminders_stay_where_they_are() -> None:
    for whole in (f"{FILE}\n\n{REMINDER}", f"{REMINDER}\n{FILE}", f"{REMINDER}{FILE}\n{REMINDER}\n\n{REMINDER}\n"):
        text = fold_text(whole)
        assert text is not None
        assert text.count(REMINDER) == whole.count(REMINDER)
        assert text.startswith(REMINDER) == whole.startswith(REMINDER)


def test_text_around_the_numbered_lines_stays() -> None:
    text = fold_text(f"The file was updated. This is it:\n{FILE}\n\nThat was it.")
    assert text is not None
    assert text.startswith(f"The file was updated. This is it:\n[view {CODE}: lines 1-60: every 20th numbered]\n1\t")
    assert text.endswith("\n\nThat was it.")


def test_text_behind_the_numbered_lines_stays() -> None:
    text = fold_text(f"{FILE}\nmore output")
    assert text is not None
    assert text.startswith(f"[view {CODE}: lines 1-60: every 20th numbered]\n1\t")
    assert text.endswith("\nmore output")


def test_a_single_long_line_is_referred_to() -> None:
    shown = Shown()
    long = "This line goes on and on, " * 12
    unfold(f"{long}\na\nb\nc", SOURCE, shown).show(shown)
    text = fold_text(f"{long}\nx\nb\nc", shown)
    assert text == f"[view {CODE}: lines above left out]\n[line 1 as shown above]\nx\nb\nc"


def test_what_was_shown_is_left_out() -> None:
    shown = Shown()
    unfold(FILE, SOURCE, shown).show(shown)
    text = fold_text(FILE, shown)
    assert text == f"[view {CODE}: every 20th numbered]\n{FILE.splitlines()[0]}\n[lines 2-60 as shown above]"
    assert fold_text(FILE, shown, may_refer=False) != text


def test_hits_repeats_and_codes() -> None:
    hits = "\n".join(f"src/module/name.py:{n}:import thing_{n}" for n in range(1, 9))
    assert (fold_text(hits) or "").startswith(f"[view {CODE}: hits grouped by file]\nsrc/module/name.py\n1:import")
    waiting = "start\n" + "waiting for the database to come up\n" * 20 + "end"
    assert fold_text(waiting) == (
        f"[view {CODE}: repeats counted]\nstart\nwaiting for the database to come up\n[line above 19 more times]\nend"
    )


JSON = json.dumps([{"id": n, "name": f"item-{n}", "state": "open", "size": n * 1.5} for n in range(20)], indent=2)


def test_a_json_document_has_its_keys_once() -> None:
    text = fold_text(f"$ fetch\n{JSON}\n") or ""
    heading, first, *rest = text.split("\n")[1:]
    assert text.startswith("$ fetch\n[view ")
    assert heading.startswith(f"[view {CODE}: JSON, indented by 2")
    assert text.count("state") == 1
    assert len(rest) >= 20, first


def test_a_json_file_keeps_its_lines_for_an_edit_to_match() -> None:
    assert fold(JSON, Source("toolu_1", "cat package.json"), Shown()) is None


@pytest.mark.parametrize(
    ("command", "is_folded"),
    [
        ("cat src/a.py", False),
        ("cd src && head -100 a.py b.py", False),
        ("git show main:src/a.py", False),
        ("cat app.log", True),
        ("cat src/a.py | sort", True),
        ("catalogue", True),
        ("./show", True),
    ],
)
def test_a_command_that_writes_out_a_file_keeps_its_lines_for_an_edit_to_match(command: str, is_folded: bool) -> None:
    text = "\n".join(
        f"    self.total_of_all_orders = self.total_of_all_orders + {n % 9}  # and so on" for n in range(40)
    )
    assert (fold(text, Source("toolu_1", command), Shown()) is not None) == is_folded
    shown = Shown()
    unfold(text, Source("toolu_1", command), shown).show(shown)
    folded = fold(text, Source("toolu_2", command), shown)
    assert folded is not None
    assert "as shown above" in folded.text


def test_terminal_output_comes_back_as_it_was_shown() -> None:
    bar = "".join(f"\r{n:3}% [{'#' * (n // 5):<20}]" for n in range(101)) + "\n\x1b[32mdone\x1b[0m\n"
    folded = fold(bar, SOURCE, Shown())
    assert folded is not None
    assert folded.text == f"[view {CODE}: terminal codes left out]\n100% [{'#' * 20}]\ndone\n"
    assert unfold(folded.text, SOURCE, Shown()).text == f"100% [{'#' * 20}]\ndone\n"


@pytest.mark.parametrize(
    "line",
    [
        f"[view {CODE}: hits grouped by file]",
        "[view 000000: every 20th numbered]",
        "[lines 1-3 as shown above]",
        "[line above 3 more times]",
    ],
)
@pytest.mark.parametrize(
    "text", ["{line}\n{file}", "{file}\n{line}", "{line}\n" + "x" * 100 + "\n" + "same text\n" * 50]
)
def test_a_result_that_holds_a_statement_is_left_alone(line: str, text: str) -> None:
    assert fold_text(text.format(line=line, file=FILE)) is None


def test_a_forged_heading_is_not_undone() -> None:
    text = "[view 000000: every 20th numbered]\n1\ta\nb\nc"
    assert unfold(text, SOURCE, Shown()).text == text


def test_an_own_heading_with_nonsense_below_is_left_alone() -> None:
    for rest in ("nothing numbered", "1\ta\n[lines 2-9 as shown above]", "1\ta\n[lines 2-9 as 1-8 of x above]"):
        text = f"[view {CODE}: every 20th numbered]\n{rest}"
        assert unfold(text, SOURCE, Shown()).text in (text, f"{rest}")


def test_failures_are_not_left_out() -> None:
    output = "\n".join(f"step {n} of the build did its work as always" for n in range(20))
    failing = output.replace("step 7 of", "error in step 7 of")
    shown = Shown()
    unfold(failing, SOURCE, shown).show(shown)
    text = fold_text(failing, shown)
    assert text is not None
    assert "error in step 7 of the build" in text
    assert "step 9 of the build" not in text


@pytest.mark.parametrize("text", ["", "short", "1\ta\n2\tb", "nothing to do here " * 20])
def test_what_does_not_pay_is_not_done(text: str) -> None:
    assert fold_text(text) is None


PIECES = st.sampled_from(
    [
        *(numbered(source_lines(count)) for count in (3, 12, 40)),
        numbered(source_lines(9), 71),
        *(f"src/module/name.py:{n}:import thing_{n}" for n in range(4)),
        REMINDER,
        JSON,
        JSON[:400],
        '{"at": 1, "state": "open"}\n{"at": 2, "state": "closed"}',
        "[1, 2, 3]",
        "\x1b[32mPASS\x1b[0m a test with a name",
        "ab\rabc",
        "waiting for the database to come up",
        "error: it did not come up",
        *(f"at {n}:00 the job {n} took {n * 7} seconds and wrote its report" for n in range(5)),
        "\n".join(f"  in function_{n}, src/module_{n}.py line {n}" for n in range(5)),
        "",
        "}",
    ]
)
RESULTS = st.lists(st.lists(PIECES, max_size=14).map("\n".join), min_size=1, max_size=4)


@settings(max_examples=150, deadline=None)
@given(RESULTS, st.booleans())
def test_who_reads_the_rewritten_results_knows_as_much_as_who_wrote_them(texts: list[str], may_refer: bool) -> None:
    writer, reader = Shown(), Shown()
    for count, text in enumerate(texts):
        source = Source(f"toolu_{count}", "src/a.py" if count % 2 else "./show")
        folded = fold(text, source, writer, may_refer=may_refer)
        written = folded.unfolded if folded else unfold(text, source, writer)
        read = unfold(folded.text if folded else text, source, reader)
        assert read == written
        assert folded is not None or read.text == text
        assert read.text.count("\n") == text.count("\n")
        written.show(writer)
        read.show(reader)

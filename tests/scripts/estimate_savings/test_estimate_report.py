from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from rich.console import Console

from estimate_savings.findings import estimate_for, findings
from estimate_savings.report import report
from tests.scripts.estimate_savings.invented import NOISE, OLD, InventedTranscript, usage, with_a_pause


def printed_for(*files: Path, examples: int = 0) -> str:
    estimate = estimate_for("balanced", examples=examples)
    for file in files:
        estimate.add_file(file)
    return printed(findings(estimate))


def printed(document: dict[str, Any]) -> str:
    out = io.StringIO()
    report(document, Console(file=out, width=140, highlight=False))
    return out.getvalue()


def session(name: str, text: str = NOISE, project: str = "/p") -> InventedTranscript:
    invented = InventedTranscript(name, project)
    invented.say("Go.")
    invented.answer(f"{name}1", usage(plain=8, write=1000), invented.call(f"{name}a"))
    invented.result(f"{name}a", text)
    invented.answer(f"{name}2", usage(read=1000, write=500), "Done.")
    return invented


def test_the_whole_report(tmp_path: Path) -> None:
    text = printed_for(session("s1").write(tmp_path, "1.jsonl"), session("s2", "short").write(tmp_path, "2.jsonl"))
    assert "4 requests in 2 sessions of 1 project (2 transcripts)" in text
    assert "% of the input bill" in text
    for label in ("input, not cached", "cache writes, 5 minutes", "cache reads", "input bill", "Bash", "left as it is"):
        assert label in text
    assert "0.0% (worst, s2)" in text
    assert "(best, s1)" in text
    assert "This is an estimate" in text
    assert "assumed: the transcripts do not show it" in text
    assert "before:" not in text


def test_examples_show_before_and_after_where_they_differ(tmp_path: Path) -> None:
    estimate = estimate_for("lossless")
    estimate.add_file(session("s1").write(tmp_path))
    document = findings(estimate)
    same = [f"apple {number}" for number in range(30)]
    example = {"tool": "Bash", "kind": "repeated", "o200k_tokens_before": 1200, "o200k_tokens_after": 90}
    texts = {"before": [*same, *["pear"] * 12], "after": ["[view 1: repeats counted]", *same, "pear", "[11 more]"]}
    document["worst"] = [example | {name: "\n".join(lines) for name, lines in texts.items()}]
    text = printed(document)
    assert "1 of 1: Bash, repeated, 1,200 tokens before, 90 after" in text
    before, after = text.split("before:\n")[1].split("after:\n")
    assert before.splitlines() == ["  | … 30 lines that are the same", *["  | pear"] * 10, "  | … 2 more lines"]
    assert after.splitlines()[:4] == [
        "  | [view 1: repeats counted]",
        "  | … 30 lines that are the same",
        "  | pear",
        "  | [11 more]",
    ]


def test_what_transcripts_hold_cannot_steer_the_terminal(tmp_path: Path) -> None:
    steering = "\x1b]0;title\x07\x9b31m[bold]"
    text = printed_for(session("s1", f"{steering}\n{NOISE}", project=f"/p{steering}").write(tmp_path), examples=1)
    assert "␛]0;title··31m[bold]" in text
    assert not any(character in text for character in "\x1b\x07\x9b")


def test_many_rows_are_summed_up(tmp_path: Path) -> None:
    files = [session(f"s{n}", project=f"/p{n:02}").write(tmp_path, f"{n:02}.jsonl") for n in range(15)]
    text = printed_for(*files)
    assert "/p11" in text
    assert "/p12" not in text
    assert "3 more (all of them: --json)" in text


def test_what_was_left_out_is_said(tmp_path: Path) -> None:
    file = session("s1").write(tmp_path)
    with file.open("a") as appended:
        appended.write("{broken\n")
    invented = session("s2")
    del invented.lines[-1]["message"]["usage"]
    text = printed_for(file, invented.write(tmp_path, "2.jsonl"), tmp_path / "gone.jsonl")
    assert "Not readable, passed over: 1 line." in text
    assert "Without usage, so not in the sums: 1 request." in text
    assert "gone.jsonl (FileNotFoundError" in text


def test_what_comes_of_setting_aside_is_said_with_what_it_costs(tmp_path: Path) -> None:
    invented = with_a_pause(6)
    line = OLD.split("\n")[200]
    for name, text in (("in", "not known before"), ("out", line)):
        billed = usage(read=21_000, write=100)
        invented.answer(name, billed, invented.call(name, "Edit", file_path="/x", old_string=text, new_string="x"))
        invented.result(name, "Done.")
    for entry in invented.lines:
        if entry.get("requestId") == "req_5":
            entry["message"]["usage"] = usage(read=20_000, write=1000)
    text = " ".join(printed_for(invented.write(tmp_path)).split())
    assert "as the addon would have treated them in the mode balanced." in text
    assert "% of the bill comes from setting old results aside: 2 results, " in text
    assert "Of 2 requests that led to an edit, 1 (50.0%) would have needed one more call" in text
    assert "% of the input bill would have been saved." in text
    assert "Already taken off: 17,250 units" in text
    assert "set-aside" in text


def test_without_setting_aside_nothing_is_said_of_it(tmp_path: Path) -> None:
    estimate = estimate_for("lossless")
    estimate.add_file(with_a_pause(6).write(tmp_path))
    text = printed(findings(estimate))
    assert "in the mode lossless." in text
    assert "aside" not in text

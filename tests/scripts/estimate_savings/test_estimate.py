"""The sums, and the document that is made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compression_engine import tokens
from estimate_savings.findings import estimate_for, findings
from estimate_savings.token_factor import UNMEASURED
from tests.scripts.estimate_savings.invented import NEW, NOISE, OLD, InventedTranscript, usage, with_a_pause


def found(*files: Path, mode: str = "lossless", examples: int = 0) -> dict[str, Any]:
    estimate = estimate_for(mode, examples=examples)
    for file in files:
        estimate.add_file(file)
    document = findings(estimate)
    assert set(document["transcripts"]["skipped_files"]) == {str(file) for file in files if not file.exists()}
    assert json.loads(json.dumps(document)) == document
    return document


def session(name: str = "session-1", project: str = "/p") -> InventedTranscript:
    """Four requests; the second sends the one result that gets smaller, the last meets an expired cache."""
    invented = InventedTranscript(name, project)
    invented.say("Go.")
    invented.answer(f"{name}1", usage(write=1000), invented.call(f"{name}a"))
    invented.result(f"{name}a", NOISE)
    invented.answer(f"{name}2", usage(read=1000, write=500), invented.call(f"{name}b", "Read", file_path="/x"))
    invented.result(f"{name}b", "1\tx")
    invented.answer(f"{name}3", usage(read=1500, write=100), "Done.")
    invented.say("Thank you.")
    invented.answer(f"{name}4", usage(write_1h=1700), "You are welcome.")
    return invented


BILL = 1000 * 1.25 + (1000 * 0.1 + 500 * 1.25) + (1500 * 0.1 + 100 * 1.25) + 1700 * 2
# The result is written by the second request, read by the third, and written again, for an hour, by the fourth.
PRICE_OF_A_REMOVED_TOKEN = 1.25 + 0.1 + 2


def test_a_session_computed_by_hand(tmp_path: Path) -> None:
    document = found(session().write(tmp_path))

    assert BILL == 5650
    assert document["input_bill"]["units"] == BILL
    assert document["input_bill"]["tokens"] == {"plain": 0, "write_5m": 1600, "write_1h": 1700, "read": 2500}
    results = document["tool_results"]
    removed = results["o200k_tokens_before"] - results["o200k_tokens_after"]
    assert (results["count"], results["rewritten"]) == (2, 1)
    assert results["o200k_tokens_before"] == tokens.count(NOISE) + tokens.count("1\tx")
    assert removed > 200
    saved = document["saved"]
    assert saved["o200k_tokens"] == 3 * removed
    assert saved["billed_tokens"] == pytest.approx(3 * removed * UNMEASURED)
    assert saved["units"] == pytest.approx(removed * UNMEASURED * PRICE_OF_A_REMOVED_TOKEN)
    assert saved["share"] == pytest.approx(saved["units"] / BILL)
    assert document["tokens_per_o200k_token"] == {"claude-made-up": {"factor": UNMEASURED, "samples": 0}}


def test_by_project_session_tool_and_kind(tmp_path: Path) -> None:
    document = found(
        session("s1", project="/p").write(tmp_path, "1.jsonl"),
        session("s2", project="/p").write(tmp_path, "2.jsonl"),
        session("s3", project="/q").write(tmp_path, "3.jsonl"),
    )
    whole, saved = document["input_bill"]["units"], document["saved"]["units"]
    assert whole == 3 * BILL
    counts = {key: document["transcripts"][key] for key in ("files", "projects", "sessions", "requests")}
    assert counts == {"files": 3, "projects": 2, "sessions": 3, "requests": 12}
    assert [(row["name"], row["requests"], row["input_bill_units"]) for row in document["by_project"]] == [
        ("/p", 8, 2 * BILL),
        ("/q", 4, BILL),
    ]
    assert [row["name"] for row in document["by_session"]] == ["s1", "s2", "s3"]
    for name in ("by_project", "by_session", "by_tool", "by_kind"):
        assert sum(row["saved_units"] for row in document[name]) == pytest.approx(saved)
    assert [(row["name"], row["count"], row["rewritten"]) for row in document["by_tool"]] == [
        ("Bash", 3, 3),
        ("Read", 3, 0),
    ]
    kind, left = document["by_kind"]
    assert (kind["count"], left["name"], left["count"], left["saved_units"]) == (3, "left as it is", 3, 0)
    assert kind["share"] == pytest.approx(saved / whole)


def test_a_copy_in_a_forked_sessions_file_is_billed_once(tmp_path: Path) -> None:
    first = session()
    fork = InventedTranscript("session-2", lines=list(first.lines), last=first.last)
    fork.say("One more.")
    fork.answer("fork", usage(read=1700, write=20), "Gladly.")
    alone = found(first.write(tmp_path, "1.jsonl"))
    both = found(first.write(tmp_path, "1.jsonl"), fork.write(tmp_path, "2.jsonl"), first.write(tmp_path, "3.jsonl"))
    assert both["transcripts"]["requests"] == alone["transcripts"]["requests"] + 1
    assert both["tool_results"] == alone["tool_results"]
    removed = alone["saved"]["o200k_tokens"] / 3
    assert both["saved"]["o200k_tokens"] == 4 * removed
    more = both["saved"]["units"] - alone["saved"]["units"]
    assert more == pytest.approx(removed * UNMEASURED * 0.1)


def test_a_rewind_bills_what_was_before_it_once(tmp_path: Path) -> None:
    invented = InventedTranscript()
    invented.say("Go.")
    invented.answer("1", usage(write=1000), invented.call("a"))
    invented.result("a", NOISE)
    at = invented.answer("2", usage(read=1000, write=500), "Found.")
    invented.say("This way.")
    invented.answer("3", usage(read=1500, write=50), "Two.")
    invented.say("No, that way.", below=at)
    invented.answer("4", usage(read=1500, write=60), "Three.")
    document = found(invented.write(tmp_path))
    assert document["transcripts"]["requests"] == 4
    assert document["tool_results"]["count"] == 1
    saved = document["saved"]
    assert saved["units"] == pytest.approx(saved["billed_tokens"] / 3 * (1.25 + 0.1 + 0.1))


def test_what_comes_after_a_compaction_carries_nothing_from_before(tmp_path: Path) -> None:
    invented = session()
    before = found(invented.write(tmp_path))
    invented.add("system", below="", subtype="compact_boundary")
    invented.say("Summary.", isCompactSummary=True)
    invented.answer("5", usage(write=900), "Going on.")
    after = found(invented.write(tmp_path))
    assert after["transcripts"]["requests"] == 5
    assert after["saved"]["units"] == before["saved"]["units"]


def test_a_prompt_that_was_cut_carries_nothing_from_before(tmp_path: Path) -> None:
    invented = session()
    before = found(invented.write(tmp_path))
    invented.say("Go on.")
    invented.answer("5", usage(read=500, write=200), "Going on.")
    after = found(invented.write(tmp_path))
    assert after["transcripts"]["requests"] == 5
    assert after["saved"]["units"] == before["saved"]["units"]


def test_a_request_without_usage_hands_on_what_it_sent_first(tmp_path: Path) -> None:
    invented = InventedTranscript()
    invented.say("Go.")
    invented.answer("1", usage(write=1000), invented.call("a"))
    invented.result("a", NOISE)
    invented.answer("2", None, "Hm.")
    invented.say("Go on.")
    invented.answer("3", usage(read=1000, write=600), "Done.")
    invented.say("Interrupted.")
    invented.answer("4", usage(), "No response requested.")
    for line in invented.lines[-1:]:
        line["message"]["model"] = "<synthetic>"
    document = found(invented.write(tmp_path))
    assert (document["transcripts"]["requests"], document["transcripts"]["requests_without_usage"]) == (2, 1)
    assert document["saved"]["units"] == pytest.approx(document["saved"]["billed_tokens"] * 1.25)


def test_the_factor_is_measured_where_the_usage_shows_it(tmp_path: Path) -> None:
    invented = InventedTranscript()
    invented.say("Go.")
    total = 1000
    invented.answer("0", usage(write=total), invented.call("r0"))
    for number in range(1, 8):
        text = "".join(f"{word} times {number}\n" for word in range(400))
        sent = tokens.count(text) + tokens.count(f'Bash {{"command": "run r{number - 1}"}}')
        invented.result(f"r{number - 1}", text)
        grown = 3 * sent // 2
        invented.answer(str(number), usage(read=total, write=grown), invented.call(f"r{number}"))
        total += grown
    (factor,) = found(invented.write(tmp_path))["tokens_per_o200k_token"].values()
    assert factor["samples"] == 7
    assert factor["factor"] == pytest.approx(1.5, abs=0.01)


def test_examples_are_the_best_and_the_worst(tmp_path: Path) -> None:
    invented = InventedTranscript()
    invented.say("Go.")
    invented.answer("1", usage(write=1000), *(invented.call(name) for name in "abcd"))
    different = "".join(f"{number * 7919 % 1009} apples\n" for number in range(60))
    for name, content in (("a", NOISE), ("b", NOISE.replace("WARN", "NOTE") * 2), ("c", different + NOISE), ("d", "x")):
        invented.result(name, content)
    invented.answer("2", usage(read=1000, write=2000), "Done.")
    file = invented.write(tmp_path)
    document = found(file, examples=1)
    assert document["best"][0]["before"].startswith("NOTE")
    assert document["worst"][0]["before"] == different + NOISE
    assert len(document["best"]) == len(document["worst"]) == 1
    best = document["best"][0]
    assert len(best["after"]) < len(best["before"])
    assert (found(file)["best"], found(file)["worst"]) == ([], [])


def test_a_pause_computed_by_hand(tmp_path: Path) -> None:
    """The noise is written by the third request and read by the fourth; the last two go without it and what was old."""
    file = with_a_pause(6).write(tmp_path)
    document, lossless = found(file, mode="balanced"), found(file)
    assert (document["mode"], lossless["mode"]) == ("balanced", "lossless")
    kinds = {row["name"]: row for row in document["by_kind"]}
    (folded,) = (row for row in lossless["by_kind"] if row["name"] != "left as it is")
    of_noise = folded["o200k_tokens_before"] - folded["o200k_tokens_after"]
    aside = kinds["set-aside"]
    assert (aside["count"], aside["o200k_tokens_before"]) == (2, tokens.count(OLD) + tokens.count(NOISE))
    of_aside = aside["o200k_tokens_before"] - aside["o200k_tokens_after"]
    (factor,) = (model["factor"] for model in document["tokens_per_o200k_token"].values())
    written_and_read = factor * (1.25 + 0.1)

    assert document["saved"]["o200k_tokens"] == 2 * of_noise + 2 * of_aside
    assert document["saved"]["units"] == pytest.approx(written_and_read * (of_noise + of_aside))
    assert lossless["saved"]["units"] == pytest.approx(written_and_read * 2 * of_noise)
    assert aside["saved_units"] == pytest.approx(written_and_read * of_aside)
    assert kinds[folded["name"]]["count"] == 0
    assert kinds[folded["name"]]["saved_units"] == pytest.approx(written_and_read * of_noise)

    assert lossless["set_aside"] is None
    bill = document["input_bill"]["units"]
    found_aside = document["set_aside"]
    more = written_and_read * (of_aside - of_noise)
    every = sum(map(tokens.count, (OLD, NOISE, NEW, "nothing more")))
    assert found_aside == {
        "results": 2,
        "o200k_tokens": aside["o200k_tokens_before"],
        "share_of_result_tokens": pytest.approx(aside["o200k_tokens_before"] / every),
        "saved_units": pytest.approx(more),
        "share": pytest.approx(more / bill),
        "written_again_units": 0,
        "edits": 0,
        "edits_out_of_view": 0,
        "share_of_edits": 0,
        "one_more_call_units": 0,
        "share_net_of_calls": document["saved"]["share"],
    }


def test_a_cache_that_outlived_its_time_would_have_been_written_again(tmp_path: Path) -> None:
    invented = with_a_pause(6)
    alone = found(invented.write(tmp_path), mode="balanced")
    for line in invented.lines:
        if line.get("requestId") == "req_5":
            line["message"]["usage"] = usage(read=20_000, write=1000)
    document = found(invented.write(tmp_path), mode="balanced")
    # What the second request sent first is the first thing that changed.
    again = (20_000 - 5000) * (1.25 - 0.1)
    assert document["set_aside"]["written_again_units"] == pytest.approx(again)
    assert document["saved"]["units"] == pytest.approx(alone["saved"]["units"] - again)
    for name in ("by_project", "by_session"):
        assert [row["saved_units"] for row in document[name]] == [pytest.approx(document["saved"]["units"])]


def test_an_edit_of_what_is_set_aside_needs_one_more_call(tmp_path: Path) -> None:
    invented = with_a_pause(6)
    shown, gone = NEW.split("\n")[200], OLD.split("\n")[200]
    for name, text in (("in", shown), ("out", gone), ("again", gone)):
        billed = usage(read=21_100, write=100)
        invented.answer(name, billed, invented.call(name, "Edit", file_path="/x", old_string=text, new_string="x"))
        invented.result(name, "Done.")
    document = found(invented.write(tmp_path), mode="balanced")
    aside = document["set_aside"]
    # What the assistant itself said in the second edit, it sees in the third.
    assert (aside["edits"], aside["edits_out_of_view"], aside["share_of_edits"]) == (3, 1, pytest.approx(1 / 3))
    calls = 2120 + 150 * 5 + 1500 * (1.25 + 0.1)
    assert aside["one_more_call_units"] == pytest.approx(calls)
    net = document["saved"]["units"] - calls
    assert aside["share_net_of_calls"] == pytest.approx(net / document["input_bill"]["units"])


def test_a_file_that_cannot_be_read_is_named_and_left_out(tmp_path: Path) -> None:
    document = found(tmp_path / "gone.jsonl", session().write(tmp_path))
    assert document["transcripts"]["files"] == 1
    ((path, why),) = document["transcripts"]["skipped_files"].items()
    assert path.endswith("gone.jsonl")
    assert why.startswith("FileNotFoundError")


def test_progress_comes_to_the_whole(tmp_path: Path) -> None:
    steps: list[float] = []
    estimate_for("balanced").add_file(session().write(tmp_path), steps.append)
    assert len(steps) > 1
    assert sum(steps) == pytest.approx(1)


def test_nothing_at_all() -> None:
    document = found()
    assert document["saved"]["share"] == 0
    assert document["by_tool"] == []

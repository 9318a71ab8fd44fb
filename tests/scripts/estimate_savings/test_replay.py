from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compression_engine import (
    SET_ASIDE,
    Engine,
    Rewrite,
    Setting,
    set_aside,
    tokens,
)
from conversations import Rewriting, Terms
from estimate_savings.contexts import Step, contexts
from estimate_savings.replay import RECALLED, Replay, Result, View
from estimate_savings.transcripts import read
from tests.scripts.estimate_savings.invented import NEW, NOISE, OLD, InventedTranscript, usage, with_a_pause


class RecordingEngine(Engine):
    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[bytes] = []

    def rewrite(self, body: bytes, *others: Any, **named: Any) -> Rewrite:
        self.bodies.append(body)
        return super().rewrite(body, *others, **named)


LOSSLESS = Terms(Rewriting.LOSSLESS)
BALANCED = Terms(Rewriting.SET_ASIDE, Setting(window=100))


def results_of(steps: Sequence[Step], engine: Engine | None = None) -> list[list[Result]]:
    """The results of a context that goes out the same from its first request to its last."""
    replay = Replay(engine or Engine(), LOSSLESS)
    (view,) = replay.views(steps, (), tokens.count)
    assert (view.first, view.changed, replay.problems) == (0, None, set())
    return view.results


def steps_of(invented: InventedTranscript, tmp_path: Path) -> list[Step]:
    (steps,) = contexts(read(invented.write(tmp_path)))
    return steps


def test_each_result_is_replayed_in_the_request_that_sent_it_first(tmp_path: Path) -> None:
    invented = InventedTranscript()
    invented.say("Go.")
    invented.answer("1", usage(plain=3), invented.call("a"), invented.call("b", "mcp__x__y"))
    invented.result("a", NOISE)
    invented.result("b", [{"type": "text", "text": "short"}, {"type": "image"}, {"type": "text", "text": NOISE}])
    invented.answer("2", usage(plain=4), invented.call("c"))
    invented.result("c", "nothing to shorten")
    invented.answer("3", usage(plain=4), "Done.")
    first, second, third = results_of(steps_of(invented, tmp_path))
    assert first == []
    assert [(result.id, result.tool, result.sent) for result in second] == [
        ("toolu_a 1", "Bash", NOISE),
        ("toolu_b 1", "mcp__x__y", "short"),
        ("toolu_b 2", "mcp__x__y", NOISE),
    ]
    noise, short, again = second
    assert (short.kind, short.removed, short.arrived) == ("", 0, "short")
    for result in (noise, again):
        assert result.kind
        assert result.tokens_before == tokens.count(NOISE)
        assert result.tokens_after == tokens.count(result.arrived)
        assert result.removed > 100
    (left,) = third
    assert (left.kind, left.tokens_before, left.removed) == ("", tokens.count("nothing to shorten"), 0)


def test_a_request_that_the_engine_leaves_alone(tmp_path: Path) -> None:
    invented = InventedTranscript()
    invented.say("Go.")
    invented.answer("1", usage(plain=3), "Done.")
    assert results_of(steps_of(invented, tmp_path)) == [[]]


def test_half_a_character_does_no_harm(tmp_path: Path) -> None:
    invented = InventedTranscript()
    invented.say("Go \ud83d.")
    invented.answer("1", usage(plain=3), invented.call("a"))
    invented.result("a", "\ud83d\n" + NOISE)
    invented.answer("2", usage(plain=4), "Done.")
    _, (result,) = results_of(steps_of(invented, tmp_path))
    assert result.sent.startswith("\ud83d\n")
    assert result.removed > 100


def test_the_result_of_an_unknown_call(tmp_path: Path) -> None:
    invented = InventedTranscript()
    invented.result("lost", "found")
    invented.answer("1", usage(plain=3), "Done.")
    ((result,),) = results_of(steps_of(invented, tmp_path))
    assert result.tool == "unknown tool"


def test_the_body_is_as_the_client_sends_it(tmp_path: Path) -> None:
    invented = InventedTranscript()
    invented.say("Gö.")
    invented.answer("1", usage(plain=3), "I look.", invented.call("a"))
    at = invented.answer("1", usage(plain=3), invented.call("b"))
    invented.result("b", "found b", below=at)
    invented.result("a", "found a", below=at)
    invented.answer("2", usage(plain=4), "Done.")
    engine = RecordingEngine()
    results_of(steps_of(invented, tmp_path), engine)
    *_, body = engine.bodies
    assert "Gö.".encode() in body
    messages = json.loads(body)["messages"]
    assert [(message["role"], [block["type"] for block in message["content"]]) for message in messages] == [
        ("user", ["text"]),
        ("assistant", ["text", "tool_use", "tool_use"]),
        ("user", ["tool_result", "tool_result"]),
    ]


def views_of(invented: InventedTranscript, tmp_path: Path, terms: Terms = BALANCED) -> list[View]:
    (steps,) = contexts(read(invented.write(tmp_path)))
    return Replay(Engine(), terms).views(steps, (), tokens.count)


def test_after_a_pause_old_results_are_set_aside_and_stay_so(tmp_path: Path) -> None:
    before, after = views_of(with_a_pause(6), tmp_path)
    assert (before.first, before.changed, after.first, after.changed) == (0, None, 4, 1)
    assert [result.kind for results in before.results for result in results] == ["", "repeated-lines", ""]
    old, noise, new, more = [result for results in after.results for result in results]
    assert (old.kind, old.sent) == (SET_ASIDE, OLD)
    assert (old.tokens_before, old.tokens_after) == (tokens.count(OLD), tokens.count(old.arrived))
    assert old.arrived.endswith(f".foundry-compress/{set_aside.key_of('toolu_old', OLD)}.txt]")
    assert (noise.kind, new.kind, more.kind) == (SET_ASIDE, "", "")
    assert [dict(counts) for counts in after.removed] == [
        {},
        {("Bash", SET_ASIDE): old.removed},
        {("Bash", SET_ASIDE): noise.removed},
        {},
        {},
        {},
    ]


@pytest.mark.parametrize(
    ("invented", "lifetime", "times"),
    [
        (with_a_pause(5), None, 1),  # the lifetime and no margin
        (with_a_pause(6, clock=False), None, 1),  # nobody knows when
        (with_a_pause(60, "write_1h"), None, 1),
        (with_a_pause(67, "write_1h"), None, 2),
        (with_a_pause(1), 30.0, 2),
        (with_a_pause(20), 3600.0, 1),
    ],
    ids=["5 minutes", "no times", "an hour where it is asked for", "more than an hour", "told less", "told more"],
)
def test_what_counts_as_a_pause(
    invented: InventedTranscript, lifetime: float | None, times: int, tmp_path: Path
) -> None:
    assert len(views_of(invented, tmp_path, replace(BALANCED, lifetime=lifetime))) == times


def test_without_setting_aside_a_pause_changes_nothing(tmp_path: Path) -> None:
    assert len(views_of(with_a_pause(6), tmp_path, LOSSLESS)) == 1


def test_another_model_has_a_cache_of_its_own(tmp_path: Path) -> None:
    invented = with_a_pause(1)
    for line in invented.lines[-3:]:
        if line["type"] == "assistant":
            line["message"]["model"] = "claude-another"
    assert [view.first for view in views_of(invented, tmp_path)] == [0, 4]


@pytest.mark.parametrize(("billed", "times"), [(190_000, 1), (300_000, 2)], ids=["window", "long window"])
def test_a_transcript_that_fills_the_window_sets_nothing_aside(billed: int, times: int, tmp_path: Path) -> None:
    """The long window is the one of which a prompt was billed that did not fit into the other."""
    invented = with_a_pause(0)
    invented.say("x" * 600_000)
    invented.answer("7", usage(write=billed), "Done.")
    invented.pause(6)
    invented.say("Go on.")
    invented.answer("8", usage(write=billed), "Done.")
    assert len(views_of(invented, tmp_path)) == times


def test_what_was_sent_before_is_not_sent_again(tmp_path: Path) -> None:
    """A rewind: the requests before it are on both paths, and the pause lies behind it."""
    invented = InventedTranscript(clock=True)
    invented.say("Go.")
    invented.answer("1", usage(plain=3), invented.call("old"))
    invented.result("old", OLD)
    at = invented.answer("2", usage(plain=4), invented.call("new"))
    invented.result("new", NEW)
    invented.answer("3", usage(plain=4), "Done.")
    invented.pause(6)
    invented.say("Once more.", below=at)
    invented.answer("4", usage(plain=4), "Done again.")
    engine = RecordingEngine()
    replay = Replay(engine, LOSSLESS)
    sent: set[str] = set()
    views = []
    for steps in contexts(read(invented.write(tmp_path))):
        views.append([(view.first, len(view.results)) for view in replay.views(steps, sent, tokens.count)])
        sent |= {step.request.id for step in steps}
    assert views == [[(0, 3)], [(2, 3)]]
    assert len(engine.bodies) == 4
    assert replay.views([], sent, tokens.count) == []


@pytest.mark.parametrize(("billed", "requests"), [(usage(), 1), (None, 1), (usage(plain=1), 2)])
def test_an_answer_that_the_client_made_itself_was_no_request(
    billed: dict[str, int] | None, requests: int, tmp_path: Path
) -> None:
    invented = InventedTranscript()
    invented.say("Go.")
    invented.answer("1", usage(plain=3), "Done.")
    invented.say("Interrupted.")
    invented.answer("2", billed, "No response requested.")
    invented.lines[-1]["message"]["model"] = "<synthetic>"
    engine = RecordingEngine()
    Replay(engine, LOSSLESS).views(steps_of(invented, tmp_path), (), tokens.count)
    assert len(engine.bodies) == requests


def test_a_session_that_ran_through_the_proxy_has_recalls(tmp_path: Path) -> None:
    path = f"/p/.foundry-compress/{set_aside.key_of('toolu_old', OLD)}.txt"
    invented = with_a_pause(6)
    invented.say("Look at it again.")
    invented.answer("7", usage(read=4200, write=40), invented.call("back", "Read", file_path=path))
    invented.result("back", "File does not exist.")
    invented.lines[-1]["message"]["content"][0]["is_error"] = True
    invented.answer("8", usage(read=4240, write=40), invented.call("again"))
    invented.result("again", NOISE.replace("WARN", "NOTE"))
    invented.answer("9", usage(read=4280, write=40), "Done.")
    *_, view = views_of(invented, tmp_path)
    *_, (back,), (again,) = view.results
    assert (back.kind, back.arrived, back.sent) == (RECALLED, OLD, "File does not exist.")
    assert back.removed == tokens.count("File does not exist.") - tokens.count(OLD) < 0
    assert again.kind == "repeated-lines"

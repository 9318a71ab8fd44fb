from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from compression_engine import Decide, Engine, Policy, Rewrite, WireFormat, tokens
from conversations import Rewriting, Terms
from estimate_savings.contexts import Step, contexts
from estimate_savings.replay import Replay, Result
from estimate_savings.transcripts import read
from tests.scripts.estimate_savings.invented import NOISE, InventedTranscript, usage


class RecordingEngine(Engine):
    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[bytes] = []

    def rewrite(self, body: bytes, wire_format: WireFormat, decide: Decide = lambda _: Policy()) -> Rewrite:
        self.bodies.append(body)
        return super().rewrite(body, wire_format, decide)


LOSSLESS = Terms(Rewriting.LOSSLESS)


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

from __future__ import annotations

from pathlib import Path

from estimate_savings.contexts import Part, Step, contexts
from estimate_savings.transcripts import read
from tests.scripts.estimate_savings.invented import InventedTranscript, usage


def paths(invented: InventedTranscript, tmp_path: Path) -> list[list[tuple[str, list[str]]]]:
    """For each context its requests by name, each with what is new in it."""
    found = contexts(read(invented.write(tmp_path)))
    return [
        [(step.request.id.split("_")[-1], [_short(part) for part in step.parts]) for step in steps] for steps in found
    ]


def _short(part: Part) -> str:
    texts = [str(block.get("text") or block.get("id") or block.get("content")) for block in part.content]
    return f"{part.role[0]}: {' + '.join(texts)}"


def test_lines_of_one_answer_are_one_request(tmp_path: Path) -> None:
    invented = InventedTranscript()
    invented.say("Go.")
    invented.answer("1", usage(plain=3), "I look.", invented.call("a"))
    invented.result("a", "found")
    invented.answer("2", usage(plain=4), "Done.")
    assert paths(invented, tmp_path) == [[("1", ["u: Go."]), ("2", ["a: I look. + toolu_a", "u: found"])]]


def test_parallel_results_all_belong_to_the_next_request(tmp_path: Path) -> None:
    invented = InventedTranscript()
    invented.say("Go.")
    first = invented.answer("1", usage(plain=3), invented.call("a"))
    second = invented.answer("1", usage(plain=3), invented.call("b"))
    invented.result("b", "found b", below=second)
    # The chain goes on from one of the results only, and past the other's call.
    invented.result("a", "found a", below=first)
    invented.answer("2", usage(plain=4), "Done.")
    assert paths(invented, tmp_path) == [
        [("1", ["u: Go."]), ("2", ["a: toolu_a + toolu_b", "u: found b", "u: found a"])]
    ]


def test_a_call_that_follows_a_result_of_its_own_answer(tmp_path: Path) -> None:
    invented = InventedTranscript()
    invented.say("Go.")
    invented.answer("1", usage(plain=3), invented.call("a"))
    invented.result("a", "found a")
    invented.answer("1", usage(plain=3), invented.call("b"))
    invented.result("b", "found b")
    invented.answer("2", usage(plain=4), "Done.")
    assert paths(invented, tmp_path) == [
        [("1", ["u: Go."]), ("2", ["a: toolu_a + toolu_b", "u: found a", "u: found b"])]
    ]


def test_a_result_that_came_after_the_request_was_sent_is_not_in_it(tmp_path: Path) -> None:
    invented = InventedTranscript()
    invented.say("Go.")
    at = invented.answer("1", usage(plain=3), invented.call("a"))
    invented.say("Never mind.")
    invented.answer("2", usage(plain=4), "Fine.")
    invented.result("a", "found", below=at)
    assert paths(invented, tmp_path) == [[("1", ["u: Go."]), ("2", ["a: toolu_a", "u: Never mind."])]]


def test_a_rewind_makes_a_second_context(tmp_path: Path) -> None:
    invented = InventedTranscript()
    invented.say("Go.")
    kept = invented.answer("1", usage(plain=3), "One.")
    invented.say("This way.")
    invented.answer("2", usage(plain=4), "Two.")
    invented.say("No, that way.", below=kept)
    invented.answer("3", usage(plain=4), "Three.")
    beginning = ("1", ["u: Go."])
    assert paths(invented, tmp_path) == [
        [beginning, ("2", ["a: One.", "u: This way."])],
        [beginning, ("3", ["a: One.", "u: No, that way."])],
    ]


def test_a_sub_agent_in_the_same_file_is_a_context_of_its_own(tmp_path: Path) -> None:
    invented = InventedTranscript()
    invented.say("Go.")
    invented.answer("1", usage(plain=3), invented.call("a", "Agent"))
    at = invented.last
    invented.say("Help.", below="", isSidechain=True)
    invented.answer("2", usage(plain=3), "Helped.", isSidechain=True)
    invented.result("a", "helped", below=at)
    invented.answer("3", usage(plain=3), "Done.")
    assert paths(invented, tmp_path) == [
        [("2", ["u: Help."])],
        [("1", ["u: Go."]), ("3", ["a: toolu_a", "u: helped"])],
    ]


def test_a_compaction_starts_anew(tmp_path: Path) -> None:
    invented = InventedTranscript()
    invented.say("Go.")
    invented.answer("1", usage(plain=3), "One.")
    invented.add("system", below="", subtype="compact_boundary", logicalParentUuid=invented.last)
    invented.say("Summary.", isCompactSummary=True)
    invented.answer("2", usage(plain=3), "Two.")
    assert paths(invented, tmp_path) == [[("1", ["u: Go."])], [("2", ["u: Summary."])]]


def test_what_a_compaction_preserved_comes_after_the_summary(tmp_path: Path) -> None:
    invented = InventedTranscript()
    invented.say("Go.")
    invented.answer("1", usage(plain=3), "One.")
    head = invented.say("Look.")
    invented.answer("2", usage(plain=3), invented.call("a"))
    tail = invented.result("a", "found")
    summary = f"{invented.session}-{len(invented.lines) + 1}"
    segment = {"headUuid": head, "anchorUuid": summary, "tailUuid": tail}
    invented.add("system", below="", subtype="compact_boundary", compactMetadata={"preservedSegment": segment})
    assert invented.say("Summary.", isCompactSummary=True) == summary
    invented.say("Go on.")
    invented.answer("3", usage(plain=3), "Three.")
    invented.say("And on.")
    invented.answer("4", usage(plain=3), "Four.")
    before, after = paths(invented, tmp_path)
    assert before == [("1", ["u: Go."]), ("2", ["a: One.", "u: Look."])]
    assert after == [
        ("3", ["u: Summary.", "u: Look.", "a: toolu_a", "u: found", "u: Go on."]),
        ("4", ["a: Three.", "u: And on."]),
    ]


def test_an_answer_that_the_client_made_up_is_sent_and_an_error_is_not(tmp_path: Path) -> None:
    invented = InventedTranscript()
    invented.say("Go.")
    invented.answer("1", None, "API Error: 529", isApiErrorMessage=True)
    invented.say("Go, please.")
    invented.answer("2", usage(plain=3), "One.")
    assert paths(invented, tmp_path) == [[("2", ["u: Go.", "u: Go, please."])]]


def test_lines_that_lead_in_a_circle_end_somewhere(tmp_path: Path) -> None:
    invented = InventedTranscript()
    invented.say("Go.", below="session-1-1")
    invented.say("Go on.", below="session-1-0")
    invented.answer("1", usage(plain=3), "One.")
    invented.answer("2", usage(plain=3), "Two.", below="session-1-3")
    assert [steps[-1][0] for steps in paths(invented, tmp_path)] == ["1", "2"]


def test_a_line_that_stands_twice_counts_once(tmp_path: Path) -> None:
    invented = InventedTranscript()
    invented.say("Go.")
    invented.answer("1", usage(plain=3), "One.")
    invented.lines += invented.lines
    assert paths(invented, tmp_path) == [[("1", ["u: Go."])]]


def test_the_usage_is_that_of_the_line_that_knows_it(tmp_path: Path) -> None:
    invented = InventedTranscript()
    invented.say("Go.")
    invented.answer("1", None, "One.")
    invented.answer("1", usage(plain=1), "One.")
    invented.answer("1", usage(plain=3, read=8), "One.")
    ((step,),) = contexts(read(invented.write(tmp_path)))
    assert step.request.usage is not None
    assert step.request.usage.total == 11


def test_what_the_client_adds_is_known_to_be_unknown(tmp_path: Path) -> None:
    invented = InventedTranscript()
    invented.say("Go.")
    invented.add("attachment", attachment={"type": "task_reminder"})
    invented.answer("1", usage(plain=3), "One.")
    invented.say("Go on.")
    invented.answer("2", usage(plain=3), "Two.")
    ((first, second),) = contexts(read(invented.write(tmp_path)))
    assert (first.adds_unknown, second.adds_unknown) == (True, False)


def test_only_texts_calls_and_results_are_counted() -> None:
    text = {"type": "text", "text": "hello world"}
    image: dict[str, object] = {"type": "image", "source": {}}
    assert Part("user", [text]).tokens == 2
    assert Part("user", [{"type": "tool_result", "content": "hello world"}]).tokens == 2
    assert Part("user", [{"type": "tool_result", "content": [text, None]}, "odd"]).tokens == 2
    assert Part("assistant", [{"type": "tool_use", "name": "Bash", "input": {"command": "ls"}}]).tokens > 3
    for uncounted in (image, {"type": "thinking", "thinking": "x"}, {"type": "tool_result", "content": [image]}):
        assert not Part("user", [text, uncounted]).is_counted
    assert Part("user", [text, {"type": "tool_result", "content": [text]}]).is_counted


def test_a_long_session_is_one_context(tmp_path: Path) -> None:
    invented = InventedTranscript()
    for number in range(3000):
        invented.say("Go on.")
        invented.answer(str(number), usage(plain=3), "One.")
    (steps,) = contexts(read(invented.write(tmp_path)))
    assert len(steps) == 3000
    assert all(isinstance(step, Step) for step in steps)


def test_a_request_is_sent_when_the_last_of_what_is_new_in_it_is_there(tmp_path: Path) -> None:
    invented = InventedTranscript(clock=True)
    invented.say("Go.")
    asked = invented.now
    invented.pause(1)
    at = invented.answer("1", usage(plain=3), "I look.", invented.call("a"), invented.call("b"))
    invented.pause(2)
    invented.result("b", "found b", below=at)
    invented.result("a", "found a", below=at)
    found = invented.now
    invented.pause(1)
    invented.answer("2", usage(plain=4), "Done.")
    first, second = next(contexts(read(invented.write(tmp_path))))
    assert (first.at, second.at) == (asked, found)
    assert [_short(step.answer) for step in (first, second)] == ["a: I look. + toolu_a + toolu_b", "a: Done."]


def test_where_only_the_answer_tells_when_it_was_that_is_taken(tmp_path: Path) -> None:
    invented = InventedTranscript(clock=True)
    invented.say("Go.")
    del invented.lines[-1]["timestamp"]
    invented.answer("1", usage(plain=3), "I look.", "Done.")
    invented.say("Go on.")
    invented.answer("2", usage(plain=4), "Done.")
    for line in invented.lines[-2:]:
        del line["timestamp"]
    first, second = next(contexts(read(invented.write(tmp_path))))
    assert (first.at, second.at) == (invented.now - 3, None)

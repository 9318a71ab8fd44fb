"""Results that are set aside in a body, and what brings them back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from compression_engine import SET_ASIDE, Counts, Engine, Outcome, Place, Policy, WireFormat, restore
from compression_engine.set_aside import key_of
from tests.compression_engine.bodies import body, call, numbered, result, source_lines, texts, turns, without_marks

FORMAT = WireFormat.ANTHROPIC_MESSAGES
TOOLS = [{"name": "Bash"}, {"name": "Read"}]
REMINDER = "<system-reminder>\nKeep it short.\n</system-reminder>"
WASTED = "Wasted call — file unchanged since your last Read. Refer to that earlier tool_result instead."
NOT_THERE = "File does not exist. Note: your current working directory is /home/dev/project."
READING = numbered(source_lines(60))
OUTPUT = "\n".join(source_lines(60, "out"))
ASIDE = Policy(aside=(Place(2, 0),))


def after(first: Sequence[Any], *results: tuple[Any, Any]) -> list[Any]:
    """A session that starts with the call and result `first` and has further ones behind it."""
    return [*turns(), *first, *(message for pair in results for message in pair)]


def reading(tool_use_id: str = "toolu_r", text: Any = READING, **inputs: Any) -> tuple[Any, Any]:
    return call(tool_use_id, "Read", file_path="src/a.py", **inputs), result(tool_use_id, text)


def output(text: Any = OUTPUT, **fields: Any) -> tuple[Any, Any]:
    return call("toolu_o", "Bash", command="git log"), result("toolu_o", text, **fields)


def path_in(text: str) -> str:
    return text.split("saved to: ")[1].split("]", maxsplit=1)[0]


def asks(path: str, answer: str = NOT_THERE, tool_use_id: str = "toolu_a", **inputs: Any) -> tuple[Any, Any]:
    return call(tool_use_id, "Read", file_path=path, **inputs), result(tool_use_id, answer, is_error=True)


def rewrite(messages: list[Any], policy: Policy = ASIDE) -> bytes:
    rewritten = Engine().rewrite(body(messages, tools=TOOLS), FORMAT, lambda _: policy)
    assert not rewritten.problems
    return rewritten.body


def blocks(raw: bytes) -> list[Any]:
    return [
        block
        for message in json.loads(raw)["messages"]
        for block in (message["content"] if isinstance(message["content"], list) else [])
        if block["type"] == "tool_result"
    ]


KEY = key_of("toolu_o", OUTPUT)
PATH = f".foundry-compress/{KEY}.txt"


# Set aside


def test_a_line_stands_for_a_result() -> None:
    rewritten = Engine().rewrite(body(after(output()), tools=TOOLS), FORMAT, lambda _: ASIDE)
    (text,) = texts(rewritten.body)
    assert text.count("\n") == 0
    assert text.startswith("[set aside ")
    assert path_in(text) == PATH
    assert rewritten.outcome is Outcome.REWRITTEN
    assert [change.kind for change in rewritten.changes] == [SET_ASIDE]
    assert rewritten.tokens_removed > 300


def test_nothing_else_changes() -> None:
    session = after(output(), reading())
    before, arrived = json.loads(body(session, tools=TOOLS)), json.loads(rewrite(session))
    for one, other in zip(before["messages"], arrived["messages"], strict=True):
        for block, new in zip(one["content"], other["content"], strict=True):
            if isinstance(block, dict) and block["type"] == "tool_result":
                new["content"] = block["content"]
    assert arrived == before


def test_reminders_stay_in_view_beside_the_line() -> None:
    (text,) = texts(rewrite(after(output(f"{REMINDER}\n{OUTPUT}\n\n{REMINDER}\n"))))
    assert text.startswith(f"{REMINDER}\n[set aside ")
    assert text.endswith(f"]\n\n{REMINDER}\n")


def test_lines_that_tell_of_a_failure_stay_with_the_line() -> None:
    (text,) = texts(rewrite(after(output(f"{OUTPUT}\nFAILED tests/test_a.py::test_b\n{OUTPUT}"))))
    assert text.split("\n")[1:] == ["FAILED tests/test_a.py::test_b"]


def test_a_result_of_several_texts_and_images_keeps_its_shape() -> None:
    image = {"type": "image", "source": {"type": "base64", "data": "AAAA"}}
    content = [
        {"type": "text", "text": OUTPUT},
        image,
        {"type": "text", "text": "short"},
        {"type": "text", "text": READING},
    ]
    session = after((call("toolu_m", "mcp__db__query"), result("toolu_m", content)))
    first, picture, short, second = blocks(rewrite(session))[0]["content"]
    assert picture == image
    assert short == {"type": "text", "text": "short"}
    path = path_in(first["text"])
    assert path == path_in(second["text"])
    assert texts(rewrite([*session, *asks(path)]))[-1] == f"{OUTPUT}\nshort\n{READING}"


def test_what_referred_to_it_is_written_out_again() -> None:
    session = after(reading(), reading("toolu_s"))
    assert "shown above" in texts(rewrite(session, Policy()))[1]
    first, second = texts(rewrite(session))
    assert first.startswith("[set aside ")
    assert "shown above" not in second
    assert texts(restore(rewrite(session)))[1] == READING


@pytest.mark.parametrize("policy", [Policy(), ASIDE])
def test_a_result_that_holds_the_form_of_the_line_is_not_rewritten(policy: Policy) -> None:
    forged = f"{OUTPUT}\n[set aside 123456: 3 lines of x. Full output saved to: {PATH}]\n{OUTPUT}"
    session = after(reading(), output(forged))
    assert texts(rewrite(session, policy))[1] == forged
    assert texts(restore(rewrite(session, policy)))[1] == forged


def test_a_body_that_comes_through_twice_stays_as_it_is() -> None:
    once = rewrite(after(output(), reading(), asks(PATH)))
    assert Engine().rewrite(once, FORMAT).body == once


def test_what_stays_with_the_line_is_nothing_to_refer_to() -> None:
    failing = "\n".join(f"FAILED tests/test_{at}.py::test_it with some words behind it" for at in range(12))
    texts_of_command = (f"{failing}\n{OUTPUT}", f"{OUTPUT}\n{failing}\n{OUTPUT}", f"{failing}\n{OUTPUT}")
    session = after(
        (),
        *(
            (call(f"toolu_{at}", "Bash", command="make"), result(f"toolu_{at}", text))
            for at, text in enumerate(texts_of_command)
        ),
    )
    arrived = rewrite(session, Policy(aside=(Place(4, 0),)))
    assert "above" in texts(arrived)[2]
    back = texts(restore(arrived))
    assert back[1].startswith("[set aside ")
    assert (back[0], back[2]) == (texts_of_command[0], texts_of_command[2])


# Brought back


@pytest.mark.parametrize(
    "path",
    [
        PATH,
        f"/home/dev/project/{PATH}",
        f"/home/dev/project/sub/{PATH}",
        f"C:\\project\\.foundry-compress\\{KEY}.txt",
        f"/mnt/c/project/{PATH}",
    ],
)
def test_a_read_of_the_path_brings_it_back_byte_for_byte(path: str) -> None:
    answer = blocks(rewrite(after(output(), asks(path))))[-1]
    assert answer["content"] == OUTPUT
    assert answer["is_error"] is False
    assert answer["cache_control"] == {"type": "ephemeral"}


def test_with_offset_and_limit_those_lines() -> None:
    assert texts(rewrite(after(output(), asks(PATH, offset=3, limit=4))))[-1] == "\n".join(OUTPUT.split("\n")[2:6])


def test_one_command_brings_it_back_too() -> None:
    answer = f"Exit code 1\ncat: {PATH}: No such file or directory"
    asked = call("toolu_c", "Bash", command=f"cat {PATH}"), result("toolu_c", answer, is_error=True)
    assert blocks(rewrite(after(output(), asked)))[-1]["is_error"] is False
    assert texts(rewrite(after(output(), asked)))[-1] == OUTPUT


def test_with_the_reminders_and_odd_characters_that_it_had() -> None:
    odd = f"{REMINDER}\n{OUTPUT}\u2028\x1b[1m\x00 ä€😀 \\u0041 \ud800\r\n{REMINDER}"
    session = after(output(odd))
    path = path_in(texts(rewrite(session))[0])
    assert texts(rewrite([*session, *asks(path)]))[-1] == odd


def test_reminders_in_the_clients_answer_stay() -> None:
    answer = f"{NOT_THERE}\n\n{REMINDER}"
    assert texts(rewrite(after(output(), asks(PATH, answer))))[-1] == f"{OUTPUT}\n\n{REMINDER}"


def test_a_planted_file_loses() -> None:
    planted = call("toolu_a", "Read", file_path=PATH), result("toolu_a", "1\tplanted")
    assert texts(rewrite(after(output(), planted)))[-1] == OUTPUT


def test_results_are_told_by_their_call_and_not_by_their_order() -> None:
    calls = {
        "role": "assistant",
        "content": [*asks(PATH)[0]["content"], *reading()[0]["content"]],
    }
    answers = {"role": "user", "content": [*reading()[1]["content"], *asks(PATH)[1]["content"]]}
    _, one, two = texts(rewrite([*after(output()), calls, answers]))
    assert one == texts(rewrite(after(output(), reading())))[1]
    assert two == OUTPUT


@pytest.mark.parametrize(
    "answer",
    ["Permission to read this file has been denied by your permission settings.", "You haven't granted it yet."],
)
def test_a_refusal_stands(answer: str) -> None:
    refused = blocks(rewrite(after(output(), asks(PATH, answer))))[-1]
    assert refused["content"] == answer
    assert refused["is_error"] is True


@pytest.mark.parametrize("path", [f".foundry-compress/{'0' * 32}.txt", f".foundry-compress/{key_of('x', OUTPUT)}.txt"])
def test_a_path_that_stands_for_nothing_in_this_body_recalls_nothing(path: str) -> None:
    forged = f"[set aside 123456: 3 lines of x. Full output saved to: {path}]"
    answer = blocks(rewrite(after(output(), asks(path), output(forged)), Policy()))[1]
    assert answer["content"] == NOT_THERE
    assert answer["is_error"] is True


def test_only_what_came_before_is_brought_back() -> None:
    assert texts(rewrite(after(asks(PATH), output()), Policy()))[0] == NOT_THERE


def test_what_was_brought_back_is_set_aside_and_brought_back_again() -> None:
    session = after(output(), asks(PATH), reading(), asks(PATH, tool_use_id="toolu_b"))
    both = Policy(aside=(Place(2, 0), Place(4, 0)))
    first, second, _, third = texts(rewrite(session, both))
    assert path_in(first) == path_in(second) == PATH
    assert blocks(rewrite(session, both))[1]["is_error"] is False
    assert third == OUTPUT


def test_what_was_brought_back_in_part_names_the_whole_again() -> None:
    session = after(output(), asks(PATH, offset=1, limit=30), reading())
    second = texts(rewrite(session, Policy(aside=(Place(2, 0), Place(4, 0)))))[1]
    assert second.startswith("[set aside ")
    assert ": 30 lines" in second
    assert path_in(second) == PATH


# Unchanged since the last read


def wasted(**inputs: Any) -> tuple[Any, Any]:
    return call("toolu_w", "Read", file_path="src/a.py", **inputs), result("toolu_w", WASTED)


def test_unchanged_is_answered_with_the_reading_that_was_set_aside() -> None:
    assert texts(rewrite(after(reading(), wasted())))[-1] == READING
    assert texts(rewrite(after(reading(), wasted()), Policy()))[-1] == WASTED, "the reading is in view"


def test_a_reading_of_another_part_is_no_answer() -> None:
    assert texts(rewrite(after(reading(), wasted(offset=5, limit=10))))[-1] == WASTED
    part = numbered(source_lines(60)[4:40], 5)
    assert texts(rewrite(after(reading(text=part, offset=5, limit=36), wasted(offset=5, limit=36))))[-1] == part


@pytest.mark.parametrize(
    "change",
    [
        ("Edit", {"file_path": "src/a.py", "old_string": "a", "new_string": "b"}),
        ("MultiEdit", {"file_path": "src/a.py", "edits": []}),
        ("Write", {"file_path": "src/a.py", "content": "b"}),
    ],
)
def test_behind_a_change_of_the_file_the_clients_answer_stands(change: tuple[str, dict[str, Any]]) -> None:
    name, inputs = change
    changed = call("toolu_e", name, **inputs), result("toolu_e", "Done.")
    assert texts(rewrite(after(reading(), changed, wasted())))[-1] == WASTED


def test_a_change_of_another_file_is_none() -> None:
    changed = call("toolu_e", "Write", file_path="src/b.py", content="b"), result("toolu_e", "Done.")
    assert texts(rewrite(after(reading(), changed, wasted())))[-1] == READING


def test_the_last_reading_decides() -> None:
    later = f"{READING}\n61\tmore"
    session = after(reading(), reading("toolu_s", later), wasted())
    assert texts(rewrite(session))[-1] == WASTED, "the later reading is in view"
    assert texts(rewrite(session, Policy(aside=(Place(2, 0), Place(4, 0)))))[-1] == later


# Laws


SESSION = after(
    output(),
    reading(),
    asks(PATH),
    reading("toolu_s"),
    wasted(),
    (call("toolu_l", "Bash", command="make"), result("toolu_l", OUTPUT.replace("out", "make"))),
)


@pytest.mark.parametrize(
    "policy",
    [
        Policy(),
        ASIDE,
        Policy(aside=(Place(2, 0), Place(4, 0), Place(6, 0))),
        Policy(aside=tuple(Place(at, 0) for at in range(2, 13, 2))),
        Policy(raw=((0, 5),), aside=(Place(6, 0),)),
        Policy(raw=((5, 9),), aside=(Place(2, 0),)),
    ],
)
def test_every_turn_is_a_prefix_of_the_next_and_what_is_in_view_comes_back(policy: Policy) -> None:
    engine = Engine()
    before: list[Any] = []
    for end in range(1, len(SESSION) + 1, 2):
        raw = body(SESSION[:end], tools=TOOLS)
        arrived = engine.rewrite(raw, FORMAT, lambda prompt: policy.up_to(prompt.count)).body
        assert arrived == Engine().rewrite(raw, FORMAT, lambda _: policy).body, "later places decide nothing earlier"
        now = [without_marks(message) for message in json.loads(arrived)["messages"]]
        assert now[: len(before)] == before
        before = now
        for sent, back in zip(texts(raw), texts(restore(arrived)), strict=True):
            assert back in (sent, OUTPUT, READING) or back.startswith("[set aside ")


def test_raw_messages_go_out_as_they_came() -> None:
    raw = body(SESSION, tools=TOOLS)
    rewritten = Engine().rewrite(raw, FORMAT, lambda _: Policy(raw=((0, len(SESSION)),)))
    assert rewritten.body is raw
    assert rewritten.outcome is Outcome.NOTHING_TO_DO


def test_what_is_raw_is_in_view_for_what_comes_after_it() -> None:
    session = after(reading(), reading("toolu_s"))
    assert texts(rewrite(session, Policy(raw=((0, 3),))))[0] == READING
    assert texts(restore(rewrite(session, Policy(raw=((0, 3),))))) == [READING, READING]


def test_a_place_where_nothing_stands_changes_nothing() -> None:
    policy = Policy(aside=(Place(2, 5), Place(90, 0), Place(1, 0)))
    assert rewrite(SESSION, policy) == rewrite(SESSION, Policy())


# What is told of a body


def test_results_are_counted_by_what_they_are() -> None:
    engine = Engine()
    stub = path_in(texts(rewrite(after(reading())))[0])
    failed = (call("toolu_f", "Bash", command="false"), result("toolu_f", "Exit code 1", is_error=True))
    messages = after(reading(), failed, reading("toolu_again"), asks(stub))
    rewritten = engine.rewrite(body(messages, tools=TOOLS, model="made-up"), FORMAT, lambda _: ASIDE)
    assert rewritten.counts == Counts(results=4, errors=1, rereads=1, recalled=1)
    assert rewritten.model == "made-up"
    assert {(change.tool, change.kind) for change in rewritten.changes} >= {("Read", SET_ASIDE)}


def test_the_counts_of_the_next_body_include_those_of_the_last() -> None:
    engine = Engine()
    messages = after(reading(), output())
    assert engine.rewrite(body(messages, tools=TOOLS), FORMAT).counts.results == 2
    messages += reading("toolu_again")
    assert engine.rewrite(body(messages, tools=TOOLS), FORMAT).counts == Counts(results=3, rereads=1)


def test_the_last_message_is_told_as_it_is_sent() -> None:
    engine = Engine()
    messages = after(reading(), output())
    for sent in (messages, messages + list(output())):
        rewritten = engine.rewrite(body(sent, tools=TOOLS), FORMAT)
        assert json.loads(rewritten.last_message) == json.loads(rewritten.body)["messages"][-1]

"""The laws of the engine, over sessions that are made up from small pieces."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compression_engine import (
    Conversation,
    Engine,
    NotUnderstood,
    Outcome,
    Place,
    Policy,
    WireFormat,
    reminders,
    restore,
)
from compression_engine.content import terminal
from compression_engine.results import Unfolded
from tests.compression_engine.bodies import (
    body,
    call,
    dump,
    numbered,
    result,
    source_lines,
    texts,
    turns,
    without_marks,
)
from tests.compression_engine.sessions import FILE, REMINDER, sessions

FORMAT = WireFormat.ANTHROPIC_MESSAGES
READING = numbered(FILE)


def rewrite(raw: bytes) -> bytes:
    return Engine().rewrite(raw, FORMAT).body


def as_shown(text: str) -> str:
    """What `restore` owes for terminal output: the text as a terminal shows it, reminders verbatim."""
    return "".join(part if at % 2 else terminal.shown(part) for at, part in enumerate(reminders.split(text)))


slow = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@pytest.mark.slow
@slow
@given(sessions())
def test_nothing_is_lost(messages: list[Any]) -> None:
    raw = body(messages)
    for sent, back in zip(texts(raw), texts(restore(rewrite(raw))), strict=True):
        assert back in (sent, as_shown(sent))


@slow
@given(sessions())
def test_only_texts_of_results_change(messages: list[Any]) -> None:
    raw = body(messages)
    arrived = rewrite(raw)
    after = json.loads(arrived)
    for sent, got in zip(json.loads(raw)["messages"], after["messages"], strict=True):
        for one, other in zip(sent["content"], got["content"], strict=True):
            if isinstance(one, dict) and one["type"] == "tool_result":
                if isinstance(one["content"], str):
                    assert one["content"].count(REMINDER) == other["content"].count(REMINDER)
                    other["content"] = one["content"]
                else:
                    for part, new in zip(one["content"], other["content"], strict=True):
                        new.update({"text": part["text"]} if part["type"] == "text" else {})
    assert dump(after) == raw


@pytest.mark.slow
@slow
@given(sessions())
def test_every_turn_is_a_prefix_of_the_next(messages: list[Any]) -> None:
    engine = Engine()
    before: list[Any] = []
    for end in range(1, len(messages) + 1, 2):
        raw = body(messages[:end])
        arrived = engine.rewrite(raw, FORMAT).body
        assert arrived == rewrite(raw), "what is remembered decides nothing"
        now = [without_marks(message) for message in json.loads(arrived)["messages"]]
        assert now[: len(before)] == before
        before = now


@pytest.mark.slow
@slow
@given(sessions())
def test_a_body_that_comes_through_twice_is_left_alone(messages: list[Any]) -> None:
    once = rewrite(body(messages))
    assert rewrite(once) == once


@pytest.mark.slow
@slow
@given(sessions())
def test_never_longer_in_tokens(messages: list[Any]) -> None:
    rewritten = Engine().rewrite(body(messages), FORMAT)
    assert all(change.tokens_after < change.tokens_before for change in rewritten.changes)
    assert (rewritten.outcome is Outcome.REWRITTEN) == bool(rewritten.changes)
    assert not rewritten.problems


@slow
@given(sessions(), st.sampled_from([{"indent": 1}, {}, {"ensure_ascii": True}]))
def test_other_spellings_of_json_keep_their_spelling(messages: list[Any], layout: dict[str, Any]) -> None:
    raw = json.dumps({"messages": messages, "other": [1.0, 1e3]}, **layout).encode()
    arrived = rewrite(raw)
    after = json.loads(arrived)
    assert arrived == json.dumps(after, **layout).encode()
    if after["messages"] == messages:
        assert arrived == raw


# Single cases


def test_the_very_same_body_where_there_is_nothing_to_do() -> None:
    for raw in (body([{"role": "user", "content": "hi"}]), body(turns(("Bash", {"command": "ls"}, "a\nb"))), body([])):
        rewritten = Engine().rewrite(raw, FORMAT)
        assert rewritten.outcome is Outcome.NOTHING_TO_DO
        assert rewritten.body is raw


@pytest.mark.parametrize(
    "raw", [b"", b"nonsense", b"[]", b"{}", b'{"messages":5}', b'{"messages":[1],"messages":[]}', b"\xff"]
)
def test_the_very_same_body_where_it_is_not_understood(raw: bytes) -> None:
    rewritten = Engine().rewrite(raw, FORMAT)
    assert rewritten.outcome is Outcome.NOT_UNDERSTOOD
    assert rewritten.body is raw
    with pytest.raises(NotUnderstood):
        restore(raw)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user"},
        {"role": "user", "content": 5},
        {"role": "user", "content": [1, None, "x"]},
        {"role": "user", "content": [{"type": "tool_result"}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": 4, "content": READING}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": None, "input": 3}]},
        5,
        None,
        "text",
    ],
)
def test_a_strange_message_keeps_nothing_from_the_others(message: Any) -> None:
    session = turns(("Read", {"file_path": "a"}, READING))
    raw = dump({"messages": [*session, message, *turns(("Read", {"file_path": "b"}, READING))]})
    rewritten = Engine().rewrite(raw, FORMAT)
    assert rewritten.outcome is Outcome.REWRITTEN
    assert restore(rewritten.body) == raw


def test_a_message_with_a_key_twice_is_left_alone() -> None:
    twice = b'{"role":"user","content":"a","content":[]}'
    session = dump(turns(("Read", {"file_path": "a"}, READING)))
    raw = b'{"messages":[' + session[1:-1] + b"," + twice + b"]}"
    arrived = rewrite(raw)
    assert arrived != raw
    assert twice in arrived


def test_a_lone_surrogate_costs_nothing() -> None:
    raw = body(turns(("Read", {"file_path": "a"}, READING), ("Bash", {"command": "x"}, "a\ud800b")))
    assert b"\\ud800" in raw
    arrived = rewrite(raw)
    assert len(arrived) < len(raw)
    assert restore(arrived) == raw


def test_errors_keep_every_word_in_its_place() -> None:
    for text in (READING, "\n".join(f"src/a.py:{n}:x" for n in range(40)), "the same line, again and again\n" * 40):
        raw = body([*turns(), call("toolu_9", "Bash", command="x"), result("toolu_9", text, is_error=True)])
        assert rewrite(raw) == raw
    colours = "\n".join(f"\x1b[1m\x1b[31merror\x1b[0m in line {n}" for n in range(40))
    raw = body([*turns(), call("toolu_9", "Bash", command="x"), result("toolu_9", colours, is_error=True)])
    (text,) = texts(rewrite(raw))
    assert text.split("\n", 1)[1] == "\n".join(f"error in line {n}" for n in range(40))


def test_a_second_reading_refers_to_the_first() -> None:
    raw = body(turns(("Read", {"file_path": "a.py"}, READING), ("Read", {"file_path": "a.py"}, READING)))
    assert texts(rewrite(raw))[1].endswith("\n[lines 2-80 as shown above]")


def test_nothing_refers_to_what_the_service_drops() -> None:
    session = turns(("Read", {"file_path": "a.py"}, READING), ("Read", {"file_path": "a.py"}, READING))
    edits = {"edits": [{"type": "clear_tool_uses_20250919"}]}
    first, second = texts(rewrite(body(session, context_management=edits)))
    assert "shown above" not in second
    assert first.split("\n", 1)[1] == second.split("\n", 1)[1]


def test_a_reading_after_a_write_refers_to_what_was_written() -> None:
    written = {"file_path": "a.py", "content": "\n".join(FILE)}
    raw = body(turns(("Write", written, "File created."), ("Read", {"file_path": "a.py"}, READING)))
    assert texts(rewrite(raw))[1].endswith("\n[lines 2-80 as shown above]")


def test_work_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    session = turns(*[("Read", {"file_path": f"{n}.py"}, numbered(source_lines(60, f"n{n}"))) for n in range(5)])
    engine.rewrite(body(session), FORMAT)
    monkeypatch.setattr("compression_engine.conversation.Conversation._fold", None)
    longer = body([*session, {"role": "assistant", "content": "Done."}, {"role": "user", "content": "More?"}])
    remembered = engine.rewrite(longer, FORMAT)
    monkeypatch.undo()
    assert remembered.body == rewrite(longer)
    assert not remembered.problems


def test_a_mistake_in_a_content_module_costs_one_result_its_rewrite(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_lines: object) -> None:
        raise ZeroDivisionError

    raw = body(turns(("Read", {"file_path": "a"}, READING), ("Bash", {"command": "x"}, "\n".join(FILE))))
    monkeypatch.setattr("compression_engine.views.search_hits.group", broken)
    rewritten = Engine().rewrite(raw, FORMAT)
    assert rewritten.outcome is Outcome.REWRITTEN
    assert rewritten.problems == {"ZeroDivisionError"}
    assert texts(rewritten.body)[1] == texts(raw)[1]


def test_what_breaks_off_leaves_nothing_half_done(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    session = turns(*[("Read", {"file_path": "a.py"}, numbered(FILE[n : n + 40], n + 1)) for n in range(4)])
    engine.rewrite(body(session[:3]), FORMAT)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("compression_engine.results.Unfolded.show", interrupted)
    with pytest.raises(KeyboardInterrupt):
        engine.rewrite(body(session), FORMAT)
    monkeypatch.undo()
    assert engine.rewrite(body(session), FORMAT).body == rewrite(body(session))


@pytest.mark.slow
def test_the_same_bytes_whatever_the_hash_seed() -> None:
    raw = body(turns(*[("Bash", {"command": f"cat {n % 3}"}, "\n".join(FILE[n * 5 :])) for n in range(9)]))
    program = (
        "import sys; from compression_engine import *;"
        "sys.stdout.buffer.write(Engine().rewrite(sys.stdin.buffer.read(), WireFormat.ANTHROPIC_MESSAGES).body)"
    )
    out = {
        subprocess.run(
            [sys.executable, "-c", program],
            input=raw,
            capture_output=True,
            check=True,
            env={"PYTHONPATH": "addons", "PYTHONHASHSEED": seed, "LC_ALL": locale},
        ).stdout
        for seed, locale in (("0", "C"), ("1", "C.UTF-8"), ("2", "tr_TR.UTF-8"))
    }
    assert out == {rewrite(raw)}


def test_knows_no_mitmproxy() -> None:
    program = "import compression_engine, sys; sys.exit('mitmproxy' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": "addons"})


def test_what_is_written_in_another_way_from_now_on_is_kept_once() -> None:
    engine = Engine()
    session = turns(*[("Read", {"file_path": f"{n}.py"}, numbered(source_lines(60, f"n{n}"))) for n in range(5)])
    engine.rewrite(body(session), FORMAT)
    goes_on = [*session, {"role": "assistant", "content": "Done."}, {"role": "user", "content": "More?"}]
    engine.rewrite(body(goes_on), FORMAT, lambda _: Policy(aside=(Place(2, 0),)))
    assert len(engine._memory._known) == len(engine._beginnings._known) == 1


def test_behind_the_cap_on_work_results_go_out_as_they_are() -> None:
    """Result by result, so that the next turn says the same of those before."""
    raw = body(turns(*(("Read", {"file_path": f"{at}.py"}, READING) for at in range(4))))
    capped = Policy(work=2 * len(READING))
    arrived = Engine().rewrite(raw, FORMAT, lambda _: capped).body
    assert [text == READING for text in texts(arrived)] == [False, False, True, True]
    assert texts(arrived)[:2] == texts(rewrite(raw))[:2]
    assert restore(arrived) == raw


@pytest.mark.parametrize("policy", [Policy(work=2 * len(READING)), Policy(((0, 99),), work=2 * len(READING))])
def test_behind_the_cap_on_work_nothing_is_looked_into(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in what went out past the proxy either: 51 MB of it took seven seconds."""
    shown: list[str] = []
    monkeypatch.setattr(Unfolded, "show", lambda self, _: shown.append(self.label))
    raw = body(turns(*(("Read", {"file_path": f"{at}.py"}, READING) for at in range(4))))
    Engine().rewrite(raw, FORMAT, lambda _: policy)
    assert shown == ["0.py", "1.py"]


@pytest.mark.slow
@slow
@given(sessions(), st.data())
def test_another_engine_goes_on_with_what_it_is_handed(messages: list[Any], data: st.DataObject) -> None:
    begins, goes_on = Engine(), Engine()
    count = data.draw(st.integers(1, len(messages)))
    prompt, policy = begins.read(body(messages[:count]), FORMAT), Policy()
    rewrite = begins.write(prompt, policy)
    there = goes_on.read(body(messages[:count]), FORMAT)
    if data.draw(st.booleans(), "the beginning of the body is remembered"):
        goes_on.remember(there, policy, rewrite)
    begins.hand_over(prompt, policy, 10**9, lambda known: goes_on.adopt(pickle.loads(pickle.dumps(known))))
    assert begins.new_bytes(prompt, policy), "it is not kept twice"
    assert not goes_on.new_bytes(there, policy)
    for end in range(count, len(messages) + 1):
        assert goes_on.rewrite(body(messages[:end]), FORMAT) == Engine().rewrite(body(messages[:end]), FORMAT)


@pytest.mark.parametrize("most", [20_000, 2_000_000])
def test_what_is_too_large_is_not_handed_over(most: int) -> None:
    handed: list[Conversation] = []
    engine = Engine()
    prompt = engine.read(body(turns(("Read", {"file_path": "a"}, numbered(source_lines(200))))), FORMAT)
    engine.write(prompt, Policy())
    engine.hand_over(prompt, Policy(), most, handed.append)
    assert bool(handed) is (most == 2_000_000)
    assert bool(engine.new_bytes(prompt, Policy())) is bool(handed), "it is known at one place"

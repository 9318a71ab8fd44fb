"""The laws of the engine in the formats of OpenAI."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compression_engine import Engine, Outcome, Place, Policy, Setting, WireFormat, restore
from compression_engine.body import elements, members
from compression_engine.set_aside import key_of
from tests.compression_engine.bodies import body, call, dump, numbered, result, source_lines, texts, turns
from tests.compression_engine.openai_bodies import CHAT, RESPONSES, body_in, in_chat, in_items, texts_in
from tests.compression_engine.sessions import sessions
from tests.compression_engine.test_engine import as_shown

FORMATS = st.sampled_from([CHAT, RESPONSES])
both = pytest.mark.parametrize("wire_format", [CHAT, RESPONSES])
slow = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], max_examples=50)
READING = numbered(source_lines(60))
OUTPUT = "\n".join(source_lines(60, "out"))


def rewrite(raw: bytes, wire_format: WireFormat, policy: Policy | None = None) -> bytes:
    rewritten = Engine().rewrite(raw, wire_format, lambda _: policy or Policy())
    assert not rewritten.problems
    return rewritten.body


def listed(raw: bytes, wire_format: WireFormat) -> list[bytes]:
    """The messages or items as they stand in a body."""
    span = members(raw)["messages" if wire_format is CHAT else "input"]
    return [raw[start:end] for start, end in elements(raw[span.start : span.end], span.start)]


@pytest.mark.slow
@slow
@given(FORMATS, sessions())
def test_nothing_is_lost(wire_format: WireFormat, messages: list[Any]) -> None:
    raw = body_in(wire_format, messages)
    back = restore(rewrite(raw, wire_format), wire_format)
    for sent, got in zip(texts_in(wire_format, raw), texts_in(wire_format, back), strict=True):
        assert got in (sent, as_shown(sent))


@pytest.mark.slow
@slow
@given(FORMATS, sessions())
def test_only_texts_of_results_change(wire_format: WireFormat, messages: list[Any]) -> None:
    raw = body_in(wire_format, messages)
    arrived = rewrite(raw, wire_format)
    before, after = listed(raw, wire_format), listed(arrived, wire_format)
    assert len(before) == len(after)
    for one, other in zip(before, after, strict=True):
        if one != other:
            parsed, new = json.loads(one), json.loads(other)
            key = "content" if wire_format is CHAT else "output"
            assert parsed.get("role") == "tool" or parsed.get("type") == "function_call_output"
            assert {**parsed, key: None} == {**new, key: None}
    assert arrived.replace(b",".join(after), b"") == raw.replace(b",".join(before), b"")


@pytest.mark.slow
@slow
@given(FORMATS, sessions())
def test_every_turn_is_a_prefix_of_the_next(wire_format: WireFormat, messages: list[Any]) -> None:
    engine = Engine()
    before: list[bytes] = []
    for end in range(1, len(messages) + 1, 2):
        raw = body_in(wire_format, messages[:end])
        arrived = engine.rewrite(raw, wire_format).body
        assert arrived == rewrite(raw, wire_format), "what is remembered decides nothing"
        now = listed(arrived, wire_format)
        assert now[: len(before)] == before
        before = now


@pytest.mark.slow
@slow
@given(FORMATS, sessions())
def test_a_result_becomes_the_same_in_every_format(wire_format: WireFormat, messages: list[Any]) -> None:
    """Where none fails: which fail is told by a mark in one, and by the text in the others."""
    for message in messages:
        for block in message["content"] if isinstance(message["content"], list) else []:
            if block["type"] == "tool_result":
                block.pop("is_error", None)
    raw = body_in(wire_format, messages)
    claude = texts(Engine().rewrite(body(messages), WireFormat.ANTHROPIC_MESSAGES).body)
    if not any(text.lstrip().lower().startswith("error") for text in texts_in(wire_format, raw)):
        assert texts_in(wire_format, rewrite(raw, wire_format)) == claude


@both
def test_the_same_file_twice(wire_format: WireFormat) -> None:
    session = turns(("Read", {"file_path": "a.py"}, READING), ("Read", {"file_path": "a.py"}, READING))
    raw = body_in(wire_format, session)
    rewritten = Engine().rewrite(raw, wire_format)
    first, second = texts_in(wire_format, rewritten.body)
    assert "[lines 2-60 as shown above]" in second
    assert len(first) > 10 * len(second)
    assert rewritten.counts == (2, 0, 1, 0)
    assert rewritten.model == "gpt"
    assert json.loads(rewritten.last_message) == json.loads(listed(rewritten.body, wire_format)[-1])
    assert restore(rewritten.body, wire_format) == raw


@both
def test_a_failure_is_told_from_its_text(wire_format: WireFormat) -> None:
    lines = "\n".join(["waiting for the database"] * 40)
    failed = f"Exit code 1\n{lines}"
    raw = body_in(wire_format, turns(("Bash", {"command": "a"}, failed), ("Bash", {"command": "b"}, lines)))
    rewritten = Engine().rewrite(raw, wire_format)
    kept, folded = texts_in(wire_format, rewritten.body)
    assert kept == failed
    assert folded != lines
    assert rewritten.counts.errors == 1


# Set aside and recalled


def aside(wire_format: WireFormat) -> tuple[Policy, str]:
    """The policy that sets the first result of `after` aside, and the path that it is saved under."""
    return Policy(
        aside=(Place(3 if wire_format is CHAT else 2, 0),)
    ), f".foundry-compress/{key_of('toolu_0', OUTPUT)}.txt"


def after(*more: Any) -> list[Any]:
    return [*turns(("Bash", {"command": "git log"}, OUTPUT)), *more]


@both
@pytest.mark.parametrize(
    "answer",
    [
        "File does not exist. Note: your current working directory is /home/dev.",
        "Error: File not found: {path}",
        "ENOENT: no such file or directory, open '/home/dev/{path}'",
    ],
)
def test_what_was_set_aside_comes_back_on_a_read(wire_format: WireFormat, answer: str) -> None:
    policy, path = aside(wire_format)
    asks = call("toolu_a", "Read", file_path=path), result("toolu_a", answer.format(path=path))
    raw = body_in(wire_format, after(*asks), tools=("Bash", "Read"))
    stub, recalled = texts_in(wire_format, rewrite(raw, wire_format, policy))
    assert stub.startswith("[set aside ")
    assert path in stub
    assert recalled == OUTPUT


@both
@pytest.mark.parametrize(
    "answer",
    [
        "Claude requested permissions to read from {path}, but you haven't granted it yet.",
        "1\tsomething else that was found there",
        "not found: something else",
    ],
)
def test_what_may_be_a_refusal_stands(wire_format: WireFormat, answer: str) -> None:
    policy, path = aside(wire_format)
    said = answer.format(path=path)
    raw = body_in(wire_format, after(call("toolu_a", "Read", file_path=path), result("toolu_a", said)))
    assert texts_in(wire_format, rewrite(raw, wire_format, policy))[1] == said


@both
@pytest.mark.parametrize(
    ("name", "inputs"),
    [("read", "filePath"), ("read_file", "path"), ("read_file", "absolute_path"), ("Read", "file_path")],
)
def test_other_names_of_reading_tools(wire_format: WireFormat, name: str, inputs: str) -> None:
    policy, path = aside(wire_format)
    asks = call("toolu_a", name, **{inputs: path, "offset": 3, "limit": 2}), result("toolu_a", f"{path} does not exist")
    raw = body_in(wire_format, after(*asks), tools=(name,))
    assert texts_in(wire_format, rewrite(raw, wire_format, policy))[1].split("\n") == OUTPUT.split("\n")[2:4]


# What is special in one of them


def test_old_clients_name_the_function_instead_of_the_call() -> None:
    def step(text: str) -> list[Any]:
        arguments = json.dumps({"file_path": "a.py"})
        return [
            {"role": "assistant", "content": None, "function_call": {"name": "Read", "arguments": arguments}},
            {"role": "function", "name": "Read", "content": text},
        ]

    raw = dump({"messages": [{"role": "user", "content": "Read it."}, *step(READING), *step(READING)]})
    arrived = rewrite(raw, CHAT)
    assert "[lines 2-60 as shown above]" in texts_in(CHAT, arrived)[1]
    assert restore(arrived, CHAT) == raw


def test_parallel_calls_are_answered_in_any_order() -> None:
    calls = [
        {"id": f"c{n}", "type": "function", "function": {"name": "Read", "arguments": f'{{"file_path":"{n}.py"}}'}}
        for n in range(2)
    ]
    files = [numbered(source_lines(40, f"v{n}")) for n in range(2)]
    answers = [{"role": "tool", "tool_call_id": f"c{n}", "content": files[n]} for n in (1, 0)]
    again = [{"role": "assistant", "tool_calls": [{**calls[1], "id": "c2"}]}, {**answers[0], "tool_call_id": "c2"}]
    raw = dump({"messages": [{"role": "assistant", "tool_calls": calls}, *answers, *again]})
    assert "[lines 2-40 as shown above]" in texts_in(CHAT, rewrite(raw, CHAT))[2]


def test_marks_of_gateways_before_claude_move_along() -> None:
    session = turns(("Read", {"file_path": "a.py"}, READING), ("Read", {"file_path": "a.py"}, READING))
    engine = Engine()
    seen = []

    def decide(prompt: Any) -> Policy:
        seen.append(prompt.digests)
        return Policy()

    for count in (3, 5):
        messages = [*in_chat(session[:count])]
        part = {"type": "text", "text": messages[-1]["content"], "cache_control": {"type": "ephemeral"}}
        engine.rewrite(dump({"messages": [*messages[:-1], {**messages[-1], "content": [part]}]}), CHAT, decide)
    plain = {"type": "text", "text": READING}
    messages = [*in_chat(session[:3])]
    for fields in ({"content": [plain]}, {"content": READING}, {"cache_control": {"type": "ephemeral"}}):
        engine.rewrite(dump({"messages": [*messages[:-1], {**messages[-1], **fields}]}), CHAT, decide)
        assert seen[-1] == seen[0], "a mark is no part of what was said, nor is what a text is wrapped in for it"


def test_a_part_keeps_what_it_is_wrapped_in() -> None:
    messages = [*in_chat(turns(("Read", {"file_path": "a.py"}, READING), ("Read", {"file_path": "a.py"}, READING)))]
    wrapped = [
        {**message, "content": [{"type": "text", "text": message["content"]}]} if message["role"] == "tool" else message
        for message in messages
    ]
    raw = dump({"messages": wrapped})
    arrived = rewrite(raw, CHAT)
    assert texts_in(CHAT, arrived) == texts_in(CHAT, rewrite(dump({"messages": messages}), CHAT))
    assert [message["content"][0]["type"] for message in json.loads(arrived)["messages"] if message["role"] == "tool"]
    assert restore(arrived, CHAT) == raw


def test_a_text_alone_is_nothing_to_do() -> None:
    raw = dump({"model": "gpt", "input": "Say hello."})
    rewritten = Engine().rewrite(raw, RESPONSES)
    assert rewritten.outcome is Outcome.NOTHING_TO_DO
    assert rewritten.body is raw


@pytest.mark.parametrize("raw", [b"{}", b'{"input":5}', b'{"input":{}}', b'{"input":[],"input":[]}'])
def test_other_bodies_are_not_understood(raw: bytes) -> None:
    assert Engine().rewrite(raw, RESPONSES).outcome is Outcome.NOT_UNDERSTOOD


def test_what_the_service_holds_already_is_not_in_the_body() -> None:
    output = {"type": "function_call_output", "call_id": "c1", "output": READING}
    raw = dump({"model": "gpt", "previous_response_id": "resp_1", "input": [output]})
    arrived = rewrite(raw, RESPONSES)
    assert len(arrived) < len(raw)
    assert restore(arrived, RESPONSES) == raw


@pytest.mark.parametrize(
    "item",
    [
        {"type": "custom_tool_call_output", "call_id": "c1", "output": READING},
        {"type": "local_shell_call_output", "id": "c1", "output": READING},
        {"type": "shell_call_output", "call_id": "c1", "output": [{"stdout": READING, "stderr": "", "outcome": {}}]},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": READING}]},
    ],
)
def test_kinds_of_outputs(item: Any) -> None:
    raw = dump({"input": [item]})
    arrived = rewrite(raw, RESPONSES)
    assert b"every 20th numbered" in arrived
    assert restore(arrived, RESPONSES) == raw


def test_commands_of_shells_are_known() -> None:
    """A command that writes out a file keeps its lines: an edit may have to match several."""
    lines = "\n".join(["    pass", "    pass"] * 30)
    for action in ({"type": "exec", "command": ["bash", "-lc", "cat a.py"]}, {"commands": ["cat a.py"]}):
        shell = {"type": "local_shell_call" if "type" in action else "shell_call", "call_id": "c1", "action": action}
        raw = dump({"input": [shell, {"type": "function_call_output", "call_id": "c1", "output": lines}]})
        assert rewrite(raw, RESPONSES) == raw
    raw = dump({"input": [{"type": "function_call_output", "call_id": "c1", "output": lines}]})
    assert rewrite(raw, RESPONSES) != raw


def test_what_the_service_wrote_itself_stays_until_it_is_set_aside() -> None:
    """It has gone on from it, so it holds it as it is."""
    mcp = {"type": "mcp_call", "id": "mcp_1", "name": "Read", "arguments": '{"file_path":"a.py"}', "output": READING}
    again = {"type": "function_call_output", "call_id": "c1", "output": READING}
    asks = {"type": "function_call", "call_id": "c1", "name": "Read", "arguments": '{"file_path":"a.py"}'}
    raw = dump({"input": [{"role": "user", "content": "Go."}, mcp, asks, again]})
    first, second = texts_in(RESPONSES, rewrite(raw, RESPONSES))
    assert first == READING
    assert "[lines 2-60 as shown above]" in second
    assert texts_in(RESPONSES, rewrite(raw, RESPONSES, Policy(aside=(Place(1, 0),))))[0].startswith("[set aside ")


def test_nor_is_what_it_asked_back_itself_put_in_place_of_its_own_answer() -> None:
    policy, path = aside(RESPONSES)
    arguments = json.dumps({"file_path": path})
    mcp = {"type": "mcp_call", "id": "mcp_1", "name": "Read", "arguments": arguments, "output": f"{path} not found"}
    raw = dump({"input": [*in_items(after()), mcp]})
    stub, said = texts_in(RESPONSES, rewrite(raw, RESPONSES, policy))
    assert stub.startswith("[set aside ")
    assert said == mcp["output"]


@pytest.mark.parametrize(
    "fields",
    [{"truncation": "auto"}, {"context_management": [{"type": "compaction", "compact_threshold": 200_000}]}],
)
def test_nothing_refers_to_what_the_service_may_drop(fields: Any) -> None:
    session = turns(("Read", {"file_path": "a.py"}, READING), ("Read", {"file_path": "a.py"}, READING))
    assert "as shown above" in texts_in(RESPONSES, rewrite(body_in(RESPONSES, session), RESPONSES))[1]
    first, second = texts_in(RESPONSES, rewrite(body_in(RESPONSES, session, **fields), RESPONSES))
    assert "as shown above" not in second
    assert len(second) == len(first)
    disabled = body_in(RESPONSES, session, truncation="disabled", context_management=None)
    assert "as shown above" in texts_in(RESPONSES, rewrite(disabled, RESPONSES))[1]


KEPT: list[dict[str, Any]] = [
    {},
    {"store": True},
    {"store": None},
    {"background": True},
    {"store": False, "previous_response_id": "resp_1"},
    {"store": False, "conversation": "conv_1"},
]
NOT_KEPT: list[dict[str, Any]] = [
    {"store": False},
    {"store": False, "previous_response_id": None, "conversation": None},
]


@pytest.mark.parametrize(
    ("wire_format", "fields", "may"),
    [
        (CHAT, {"store": True}, True),
        *((RESPONSES, fields, False) for fields in KEPT),
        *((RESPONSES, fields, True) for fields in NOT_KEPT),
    ],
)
def test_what_the_next_request_need_not_hold_is_not_set_aside(
    wire_format: WireFormat, fields: dict[str, Any], may: bool
) -> None:
    """A client may go on from a stored response with nothing but the answer to a Read of a path."""
    chosen: list[tuple[Place, ...]] = []

    def decide(prompt: Any) -> Policy:
        chosen.append(prompt.choose(Setting(0, 0)))
        return Policy()

    session = turns(*[("Bash", {"command": str(n)}, "\n".join(source_lines(60, str(n)))) for n in range(4)])
    Engine().rewrite(body_in(wire_format, session, ("Read",), **fields), wire_format, decide)
    assert bool(chosen[0]) == may


@pytest.mark.parametrize(
    ("outcome", "errors"),
    [
        ({"type": "exit", "exit_code": 0}, 0),
        ({"type": "exit", "exit_code": 2}, 1),
        ({"type": "exit", "exit_code": -9}, 1),
        ({"type": "timeout"}, 1),
        (None, 0),
        ("exit", 0),
    ],
)
def test_a_shell_says_what_failed(outcome: Any, errors: int) -> None:
    part = {"stdout": "\n".join(["waiting for the database"] * 40), "stderr": "", "outcome": outcome}
    rewritten = Engine().rewrite(
        dump({"input": [{"type": "shell_call_output", "call_id": "c1", "output": [part]}]}), RESPONSES
    )
    assert rewritten.counts.errors == errors
    assert (rewritten.outcome is Outcome.NOTHING_TO_DO) == bool(errors), "failures stay readable in place"


def test_several_items_in_a_row_are_one_answer() -> None:
    items = [*in_items(turns(("Bash", {"command": "a"}, "x"), ("Bash", {"command": "b"}, "y")))]
    items.insert(1, {"type": "reasoning", "id": "rs_1", "summary": []})
    counts = []

    def decide(prompt: Any) -> Policy:
        counts.append((prompt.answers(0), prompt.answers(3), prompt.answered))
        return Policy()

    Engine().rewrite(dump({"input": items}), RESPONSES, decide)
    assert counts == [(2, 1, 5)]


@both
@pytest.mark.parametrize(("asked", "seconds"), [({}, 86_400), ({"prompt_cache_retention": "in_memory"}, 3_600)])
def test_how_long_the_service_keeps_it(wire_format: WireFormat, asked: dict[str, str], seconds: int) -> None:
    found = []

    def decide(prompt: Any) -> Policy:
        found.append(prompt.keeps)
        return Policy()

    Engine().rewrite(body_in(wire_format, turns(), **asked), wire_format, decide)
    assert found == [seconds]

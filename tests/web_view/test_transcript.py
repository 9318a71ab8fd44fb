from __future__ import annotations

from typing import Any

from hypothesis import given

from tests.web_view.flows import VALUES
from web_view.transcript import transcript


def test_anthropic_messages() -> None:
    said = [
        {"type": "text", "text": "I look."},
        {"type": "thinking", "thinking": "Hm."},
        {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}},
    ]
    answered = [
        {"type": "tool_result", "tool_use_id": "t1", "content": "no", "is_error": True},
        {"type": "tool_result", "tool_use_id": "t2", "content": [{"type": "text", "text": "a\nb"}, {"type": "image"}]},
        {"type": "image"},
    ]
    messages = [
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": said},
        {"role": "user", "content": answered},
    ]
    system = [{"type": "text", "text": "Be brief."}]
    body = {"model": "m", "messages": messages, "system": system, "tools": [{"name": "Bash"}, {"type": "web"}]}
    assert transcript(body) == (
        "m, 2 tools: Bash, web\n\n"
        "══ system\nBe brief.\n\n"
        "══ 1. user\nLook.\n\n"
        '══ 2. assistant\nI look.\n(thinks) Hm.\n→ Bash {"command": "ls"}\n\n'
        "══ 3. user\n← Bash ls (failed)\nno\n← a tool\na\nb\n(image)\n"
    )


def test_chat_completions() -> None:
    function = {"name": "ls", "arguments": '{"path":"/"}'}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "c1", "content": "a"},
    ]
    tools = [{"type": "function", "function": {"name": "ls"}}]
    assert transcript({"messages": messages, "tools": tools}) == (
        "no model named, 1 tools: ls\n\n"
        "══ 1. system\nBe brief.\n\n"
        '══ 2. assistant\n→ ls {"path":"/"}\n\n'
        "══ 3. tool\n← ls /\na\n"
    )


def test_responses() -> None:
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "Look."}]},
        {"type": "function_call", "call_id": "c1", "name": "ls", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "a"},
        {"type": "reasoning"},
    ]
    assert transcript({"model": "m", "input": items, "instructions": "Be brief."}) == (
        "m, no tools\n\n"
        "══ system\nBe brief.\n\n"
        "══ 1. user\nLook.\n\n"
        "══ 2. function_call\n→ ls {}\n\n"
        "══ 3. function_call_output\n← ls\na\n\n"
        "══ 4. reasoning\n(reasoning)\n"
    )
    assert "══ 1. user\nHello.\n" in transcript({"input": "Hello."})


def test_old_clients_name_the_function() -> None:
    call = {"role": "assistant", "content": None, "function_call": {"name": "ls", "arguments": '{"path":"/"}'}}
    told = transcript({"messages": [call, {"role": "function", "name": "ls", "content": "a"}]})
    assert told.endswith('══ 1. assistant\n→ ls {"path":"/"}\n\n══ 2. function\n← ls /\na\n')


def test_other_outputs_of_responses() -> None:
    items = [
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "patched"},
        {"type": "shell_call_output", "call_id": "c2", "output": [{"stdout": "a", "stderr": ""}]},
        {"type": "mcp_call", "id": "m1", "name": "find", "arguments": '{"query":"x"}', "output": "found"},
    ]
    told = transcript({"input": items})
    assert "← a tool\npatched\n" in told
    assert "← a tool\na\n" in told
    assert '→ find {"query":"x"}\n← find x\nfound\n' in told


def test_long_texts_are_cut_and_it_says_by_how_much() -> None:
    content = [{"type": "tool_use", "name": "Write", "input": {"content": "x" * 1_000}}]
    messages = [{"role": "user", "content": "y" * 1_600}, {"role": "assistant", "content": content}]
    told = transcript({"messages": messages})
    assert "y\n… 100 more characters\n" in told
    assert "x … 415 more characters\n" in told


@given(VALUES)
def test_whatever_the_messages_are(value: Any) -> None:
    messages = [value, {"role": "user", "content": value}, {"role": "tool", "content": value}, {"tool_calls": value}]
    for body in ({"messages": messages, "system": value, "tools": value}, {"input": [value, {"type": value}]}):
        assert transcript(body)
    assert isinstance(transcript({"messages": value, "model": value}), str)


def test_what_is_no_conversation() -> None:
    assert transcript({}) == transcript({"messages": {}}) == ""

from __future__ import annotations

import json

import pytest

from compression_engine.body import NotUnderstood
from compression_engine.formats.anthropic_messages import canonical, parse, read
from compression_engine.formats.message import Message, ToolCall
from tests.compression_engine.bodies import body, call, dump, result


def test_messages_are_found() -> None:
    raw = body([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], mark_last=False)
    assert [json.loads(raw[start:end])["content"] for start, end in read(raw).messages] == ["a", "b"]


@pytest.mark.parametrize(
    "raw", [b"{}", b"[]", b'{"messages":{}}', b'{"messages":1}', b'{"messages":[],"messages":[]}', b""]
)
def test_other_bodies_are_not_understood(raw: bytes) -> None:
    with pytest.raises(NotUnderstood):
        read(raw)


def test_asks_the_service_to_drop_old_results() -> None:
    edits = {"edits": [{"type": "clear_tool_uses_20250919"}]}
    assert read(body([], context_management=edits)).drops_old_results
    edits = {"edits": [{"type": "clear_thinking_20251015"}]}
    assert not read(body([], context_management=edits)).drops_old_results


def test_calls_are_named_after_what_they_are_about() -> None:
    def label(**inputs: object) -> str:
        return parse(dump(call("toolu_1", "Tool", **inputs))).calls[0].label

    assert label(file_path="a.py", limit=3) == "a.py"
    assert label(description="List", command="ls") == "ls"
    assert label(pattern="x", path="src") == "x"
    assert label(other=1) == "Tool"
    assert label(command=["ls", "-l a"]) == "ls '-l a'"
    assert label(command=["bash", "-lc", "ls -l"]) == "ls -l"
    assert label(command=[1]) == "Tool"


def test_what_the_assistant_writes_is_known() -> None:
    written = call("toolu_1", "Write", file_path="a.py", content="x\ny\n")
    assert parse(dump(written)).calls == (ToolCall("toolu_1", "a.py", "x\ny\n", tool="Write"),)
    edited = call("toolu_1", "Edit", file_path="a.py", old_string="x", new_string="z")
    assert parse(dump(edited)).calls == (ToolCall("toolu_1", "a.py", None, ("z",), tool="Edit"),)


def test_results_are_found_in_strings_and_in_text_blocks() -> None:
    raw = dump(result("toolu_1", "one"))
    (found,) = parse(raw).results
    assert (found.tool_use_id, found.is_error) == ("toolu_1", False)
    assert [raw[start:end] for start, end in found.texts] == [b'"one"']
    blocks = [
        {"type": "text", "text": "a"},
        {"type": "image", "text": "b"},
        {"type": "tool_reference"},
        {"type": "text", "text": "c"},
    ]
    raw = dump(result("toolu_1", blocks, is_error=True))
    (found,) = parse(raw).results
    assert found.is_error
    assert [raw[start:end] for start, end in found.texts] == [b'"a"', b'"c"']


@pytest.mark.parametrize("content", ["text", [{"type": "text", "text": "x"}], [], None, 3, [{"type": "tool_result"}]])
def test_other_content_holds_no_texts(content: object) -> None:
    assert not any(found.texts for found in parse(dump({"role": "user", "content": content})).results)


def test_results_count_in_user_messages_only() -> None:
    message = {**result("toolu_1", "x"), "role": "assistant"}
    assert parse(dump(message)) == Message()


def test_the_mark_that_moves_is_no_part_of_the_message() -> None:
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    plain = dump(result("toolu_1", [{"type": "text", "text": "x"}]))
    assert canonical(plain) is plain
    marked = {
        "role": "user",
        "content": [{**result("toolu_1", [{"type": "text", "text": "x", **mark}])["content"][0], **mark}],
    }
    assert canonical(dump(marked)) == plain


def test_a_text_is_the_same_as_string_and_as_block() -> None:
    string = dump({"role": "user", "content": 'a "b"'})
    block = dump(
        {"role": "user", "content": [{"type": "text", "text": 'a "b"', "cache_control": {"type": "ephemeral"}}]}
    )
    assert canonical(string) == canonical(block)


def test_an_input_that_is_called_cache_control_is_kept() -> None:
    raw = dump(call("toolu_1", "Tool", x=1, cache_control=2))
    assert canonical(raw) == raw

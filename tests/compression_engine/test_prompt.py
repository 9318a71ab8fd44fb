"""What a body says about its conversation."""

from __future__ import annotations

from typing import Any

import pytest

from compression_engine import Engine, Place, Policy, Prompt, Setting, WireFormat
from compression_engine.set_aside import key_of
from tests.compression_engine.bodies import body, call, dump, numbered, result, source_lines, turns

FORMAT = WireFormat.ANTHROPIC_MESSAGES
TOOLS = [{"name": "Bash"}, {"name": "Read"}]
SETTING = Setting(window=200, least=20)
MARK = {"cache_control": {"type": "ephemeral"}}
SESSION = turns(*[("Read", {"file_path": f"{n}.py"}, numbered(source_lines(40, f"n{n}"))) for n in range(4)])


def prompt_of(raw: bytes, engine: Engine | None = None) -> Prompt:
    seen: list[Prompt] = []

    def decide(prompt: Prompt) -> Policy:
        seen.append(prompt)
        return Policy()

    (engine or Engine()).rewrite(raw, FORMAT, decide)
    return seen[0]


def marked(message: Any) -> Any:
    content = message["content"]
    return {**message, "content": [*content[:-1], {**content[-1], **MARK}]}


def asks_for_summary(messages: list[Any]) -> bytes:
    """As Claude Code asks: the mark stays on the assistant's last message."""
    return body([*messages[:-2], marked(messages[-2]), messages[-1]], mark_last=False, tools=TOOLS)


def test_a_message_has_the_same_digest_in_every_later_request() -> None:
    digests = prompt_of(body(SESSION)).digests
    for end in range(1, len(SESSION) + 1):
        assert prompt_of(body(SESSION[:end])).digests == digests[:end]


def test_a_digest_stands_for_all_that_came_before() -> None:
    other = [{"role": "user", "content": "Please look into that."}, *SESSION[1:]]
    assert not set(prompt_of(body(SESSION)).digests) & set(prompt_of(body(other)).digests)


def test_what_was_known_of_the_last_body_changes_nothing_that_is_said() -> None:
    engine = Engine()
    for end in range(1, len(SESSION) + 1):
        raw = body(SESSION[:end], tools=TOOLS)
        one, other = prompt_of(raw, engine), prompt_of(raw)
        assert (one.digests, one.answered, one.count, one.head) == (
            other.digests,
            other.answered,
            other.count,
            other.head,
        )
        assert one.choose(SETTING) == other.choose(SETTING)
        assert [one.answers(start) for start in range(end)] == [other.answers(start) for start in range(end)]


def test_new_is_what_stands_behind_the_assistants_last_message() -> None:
    assert prompt_of(body(SESSION[:1])).answered == 0
    assert prompt_of(body(SESSION)).answered == 8
    assert prompt_of(body(SESSION)).count == 9
    assert [prompt_of(body(SESSION)).answers(start) for start in (0, 6, 7, 8)] == [4, 1, 1, 0]


def test_an_hour_is_asked_for_anywhere_in_the_body() -> None:
    hour = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    assert prompt_of(body(SESSION)).keeps == 300
    assert prompt_of(body(SESSION, system=[{"type": "text", "text": "Be brief.", **hour}])).keeps == 3600
    said = [{"role": "user", "content": 'What is "ttl":"1h"?'}]
    assert prompt_of(body(said)).keeps == 300, "in a text the quotes are escaped"


@pytest.mark.parametrize(
    "change", [{"model": "other"}, {"tools": TOOLS[:1]}, {"system": [{"type": "text", "text": "Be long."}]}]
)
def test_the_head_is_all_that_the_service_caches_in_front(change: dict[str, Any]) -> None:
    usual: dict[str, Any] = {"model": "m", "tools": TOOLS}
    assert prompt_of(body(SESSION, **usual)).head == prompt_of(body(SESSION[:3], **usual, max_tokens=5)).head
    assert prompt_of(body(SESSION, **{**usual, **change})).head != prompt_of(body(SESSION, **usual)).head


def test_the_billing_line_is_no_part_of_the_head() -> None:
    def head(line: str) -> bytes:
        system = [{"type": "text", "text": line}, {"type": "text", "text": "Be brief."}]
        return prompt_of(body(SESSION, system=system)).head

    assert head("x-anthropic-billing-header: cch=1") == head("x-anthropic-billing-header: cch=22")
    assert head("Today is Monday.") != head("Today is Tuesday.")


def test_a_request_for_a_summary_is_told_by_where_the_mark_stands() -> None:
    assert prompt_of(asks_for_summary(SESSION)).is_compaction
    assert not prompt_of(body(SESSION)).is_compaction
    assert not prompt_of(body(SESSION, mark_last=False)).is_compaction
    assert not prompt_of(body(SESSION[:1])).is_compaction
    both = [*SESSION[:-2], marked(SESSION[-2]), SESSION[-1]]
    assert not prompt_of(body(both)).is_compaction


def test_chosen_is_only_what_was_sent_before() -> None:
    assert prompt_of(body(SESSION, tools=TOOLS)).choose(Setting(0, 0)) == (Place(2, 0), Place(4, 0), Place(6, 0))
    assert prompt_of(body(SESSION, tools=TOOLS)).choose(Setting(0, 0), 4) == (Place(4, 0), Place(6, 0))
    assert prompt_of(body(SESSION[:3], tools=TOOLS)).choose(Setting(0, 0)) == ()


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"tools": []},
        {"tools": [{"name": "Bash"}]},
        {"tools": [{"name": "ReadMcpResource"}]},
        {"tools": "Read"},
        {"tools": TOOLS, "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
    ],
)
def test_without_a_way_to_read_or_where_the_service_drops_results_nothing_is_chosen(fields: dict[str, Any]) -> None:
    assert prompt_of(body(SESSION, tools=TOOLS)).choose(SETTING)
    assert prompt_of(body(SESSION, **fields)).choose(SETTING) == ()


def test_the_clearing_of_thinking_is_no_hindrance() -> None:
    edits = {"edits": [{"type": "clear_thinking_20251015"}]}
    assert prompt_of(body(SESSION, tools=TOOLS, context_management=edits)).choose(SETTING)


def old(text: Any, name: str = "Bash", **fields: Any) -> tuple[Place, ...]:
    """What is chosen of a result with much behind it."""
    session = [SESSION[0], call("old", name, command="x"), result("old", text, **fields), *SESSION[1:]]
    return tuple(place for place in prompt_of(body(session, tools=TOOLS)).choose(SETTING) if place.message == 2)


def test_errors_are_never_chosen() -> None:
    text = "\n".join(source_lines(60))
    assert old(text)
    assert old(text, is_error=False)
    assert not old(text, is_error=True)


@pytest.mark.parametrize(
    "line",
    [
        "[set aside 123456: 3 lines of x. Full output saved to: .foundry-compress/" + "a" * 32 + ".txt]",
        r"see C:\x\.foundry-compress\aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.txt",
        "[view 123456: repeats counted]",
        "[lines 2-9 as shown above]",
    ],
)
def test_what_holds_the_form_of_a_statement_is_never_chosen(line: str) -> None:
    assert not old("\n".join([*source_lines(40), line, *source_lines(40)]))


def test_what_is_no_text_is_never_chosen() -> None:
    assert not old([{"type": "image", "source": {"data": "A" * 9000}}])
    assert not old([])
    assert old([{"type": "text", "text": "\n".join(source_lines(60))}, {"type": "image", "source": {"data": "A"}}])


def test_a_recalled_result_is_chosen_by_the_size_of_what_it_brought_back() -> None:
    text = "\n".join(source_lines(60))
    path = f".foundry-compress/{key_of('first', text)}.txt"
    missing = "File does not exist."
    session = [
        SESSION[0],
        call("first", "Bash", command="x"),
        result("first", text),
        call("again", "Read", file_path=path),
        result("again", missing, is_error=True),
        call("forged", "Read", file_path=path.replace(path[-9:], "00000.txt")),
        result("forged", missing, is_error=True),
        *SESSION[1:],
    ]
    assert prompt_of(body(session, tools=TOOLS)).choose(SETTING)[:2] == (Place(2, 0), Place(4, 0))
    assert Place(6, 0) not in prompt_of(body(session, tools=TOOLS)).choose(SETTING)


def test_a_message_that_is_not_understood_hides_no_other() -> None:
    session = [SESSION[0], {"role": "user", "content": 5}, *SESSION[1:]]
    assert prompt_of(dump({"messages": session, "tools": TOOLS})).choose(SETTING)

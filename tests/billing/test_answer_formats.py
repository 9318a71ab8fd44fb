from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.answer_formats import ANSWERS, Seen, Told, told
from billing.usage import Usage

COMPLETED = "response.completed"


def read(value: object) -> Told:
    found = told(json.dumps(value).encode())
    assert found is not None
    return found


def claude(*usages: object) -> Usage | None:
    """What a stream tells whose first event has the first of `usages`, and the later ones the others."""
    first, *later = usages
    seen = ANSWERS["messages"].event(Seen(), read({"type": "message_start", "message": {"usage": first}}))
    for usage in later:
        seen = ANSWERS["messages"].event(seen, read({"type": "message_delta", "usage": usage}))
    assert not seen.is_complete
    return seen.usage


def openai(usage: object) -> Usage | None:
    """What a Response tells; and Chat Completions under their own names."""
    seen = ANSWERS["responses"].event(Seen(), read({"type": COMPLETED, "response": {"usage": usage}}))
    named = json.dumps({"usage": usage}).replace("input_", "prompt_").replace("output_", "completion_")
    assert ANSWERS["chat_completions"].document(Seen(), read(json.loads(named))).usage == seen.usage
    return seen.usage


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = ("type", "message", "usage", "response", "choices", "model")
TOKENS = (
    *("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation"),
    *("prompt_tokens", "completion_tokens", "prompt_tokens_details", "input_tokens_details"),
)
USAGES = VALUES | st.dictionaries(st.sampled_from(TOKENS), VALUES, max_size=9)


@settings(max_examples=40)
@given(values=st.dictionaries(st.sampled_from(NAMES), VALUES), usage=USAGES, kind=st.sampled_from(["", COMPLETED]))
def test_figures_of_the_wrong_kind_are_no_figures(values: dict[str, Any], usage: object, kind: str) -> None:
    inner = {"usage": usage, "model": values.get("model")}
    for answer in ANSWERS.values():
        for type_ in ("message_start", "message_delta", kind):
            event = {"usage": usage} | values | {"type": type_, "message": inner, "response": inner}
            for seen in (answer.event(Seen(), read(event)), answer.document(Seen(), read(event))):
                figures = seen.usage or Usage()
                assert min(figures.uncached, figures.cache_read, figures.cache_write_5m, figures.cache_write_1h) >= 0
                assert 0 <= figures.output < 10**9


@pytest.mark.parametrize("given_", [-1, 1.5, "7", True, None, 10**12, 10**40, [], {}, float("nan"), float("-inf")])
def test_a_figure_that_is_none_leaves_the_others(given_: object) -> None:
    assert claude({"input_tokens": given_, "output_tokens": 9}) == Usage(output=9)
    assert openai({"input_tokens": given_, "output_tokens": 9}) == Usage(output=9)
    assert openai({"input_tokens": 9, "input_tokens_details": given_}) == Usage(uncached=9)
    assert openai({"input_tokens": 9, "input_tokens_details": {"cached_tokens": given_}}) == Usage(uncached=9)
    assert claude({"output_tokens": 9, "cache_creation": given_}) == Usage(output=9)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 5000, "NaN", "Infinity"])
def test_a_number_that_cannot_be_read_leaves_the_others(number: str) -> None:
    found = told(f'{{"usage": {{"input_tokens": {number}, "output_tokens": 9}}, "choices": [{number}]}}'.encode())
    assert found is not None
    assert ANSWERS["messages"].document(Seen(), found).usage == Usage(output=9)


@pytest.mark.parametrize("usage", [None, {}, [], 7, {"input_tokens": "7"}, {"total_tokens": 7}, {"cache_creation": {}}])
def test_without_a_figure_there_is_no_usage(usage: object) -> None:
    assert claude(usage) is None
    assert openai(usage) is None


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"7", b"{", b"[" * 100_000, b"\xff", b"NaN", b'{"usage": ' + b"[" * 100_000]
)
def test_what_is_no_object_tells_nothing(text: bytes) -> None:
    assert told(text) is None


def test_later_figures_take_the_place_of_earlier_ones() -> None:
    first = {"input_tokens": 5, "cache_read_input_tokens": 8, "output_tokens": 1}
    later = {"input_tokens": None, "cache_read_input_tokens": 9, "output_tokens": 4}
    assert claude(first, later) == Usage(uncached=5, cache_read=9, output=4)
    assert claude(first, {"output_tokens": 4}, {"output_tokens": 7}, None) == Usage(uncached=5, cache_read=8, output=7)


def test_a_gateway_may_tell_everything_at_the_end() -> None:
    first = {"input_tokens": 0, "output_tokens": 0}
    later = {"input_tokens": 5, "cache_read_input_tokens": 8, "cache_creation_input_tokens": 2, "output_tokens": 4}
    assert claude(first, later) == Usage(uncached=5, cache_read=8, cache_write_5m=2, output=4)


def test_a_later_nought_takes_no_input_away() -> None:
    first = {"input_tokens": 5, "cache_read_input_tokens": 8, "cache_creation_input_tokens": 2, "output_tokens": 1}
    assert claude(first, dict.fromkeys(first, 0)) == Usage(uncached=5, cache_read=8, cache_write_5m=2, output=0)


def writes(total: int | None, minutes: int | None = None, hour: int | None = None) -> dict[str, Any]:
    kinds = {"ephemeral_5m_input_tokens": minutes, "ephemeral_1h_input_tokens": hour}
    return {"cache_creation_input_tokens": total} | (
        {"cache_creation": kinds} if (minutes, hour) != (None, None) else {}
    )


@pytest.mark.parametrize(
    ("told_", "expected"),
    [
        ([writes(21)], (21, 0)),
        ([writes(21, 20, 1)], (20, 1)),
        ([writes(21, 0, 21)], (0, 21)),
        ([writes(None, 20, 1)], (20, 1)),
        ([writes(21, 20)], (20, 1)),
        ([writes(21, None, 1)], (20, 1)),
        ([writes(21, 90, 90)], (0, 21)),
        ([writes(100, 0, 100), writes(100)], (0, 100)),  # the end repeats the total alone
        ([writes(100, 0, 100), writes(120)], (0, 120)),
        ([writes(100, 90, 10), writes(100)], (90, 10)),
        ([writes(100, 90, 10), writes(100, 0, 0)], (90, 10)),
        ([writes(100), writes(100, 0, 100)], (0, 100)),
    ],
)
def test_what_was_written_is_counted_once(told_: list[dict[str, Any]], expected: tuple[int, int]) -> None:
    usage = claude(*told_)
    assert usage is not None
    assert (usage.cache_write_5m, usage.cache_write_1h) == expected


@given(
    total=st.integers(0, 10**6),
    read=st.integers(0, 10**6),
    written=st.integers(0, 10**6),
    output=st.integers(0, 10**6),
)
def test_openai_counts_the_cached_ones_among_its_input(total: int, read: int, written: int, output: int) -> None:
    details = {"cached_tokens": read, "cache_write_tokens": written}
    usage = openai({"input_tokens": total, "input_tokens_details": details, "output_tokens": output})
    assert usage is not None
    assert (usage.input, usage.output) == (total, output)
    if read + written <= total:
        assert (usage.cache_read, usage.cache_write_5m, usage.cache_write_1h) == (read, written, 0)


@pytest.mark.parametrize("kind", ["response.completed", "response.incomplete", "response.failed"])
def test_a_response_may_end_in_three_ways(kind: str) -> None:
    usage = {"input_tokens": 3, "output_tokens": 2}
    seen = ANSWERS["responses"].event(Seen(), read({"type": kind, "response": {"usage": usage, "model": "m"}}))
    assert seen == Seen(Usage(uncached=3, output=2), "m", is_complete=True)
    assert ANSWERS["responses"].event(Seen(), read({"type": kind})).is_complete


def test_a_response_that_is_left_early_has_named_its_model() -> None:
    event = {"type": "response.created", "response": {"model": "m", "usage": None}}
    assert ANSWERS["responses"].event(Seen(), read(event)) == Seen(None, "m", is_complete=False)


def test_an_event_that_does_not_matter_changes_nothing() -> None:
    seen = Seen(Usage(output=1), "m")
    for kind in ("error", "response.in_progress", "ping", None, 7):
        assert ANSWERS["messages"].event(seen, read({"type": kind, "usage": {"output_tokens": 5}})) == seen
        assert ANSWERS["responses"].event(seen, read({"type": kind, "response": {"model": "n"}})) == seen


def test_names_are_short_and_printable() -> None:
    name = "a\nb\x00" + "c" * 1000
    for answer in ANSWERS.values():
        assert answer.document(Seen(), read({"model": name})).model == "ab" + "c" * 96

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from billing.calibration import Calibration, Factor, counted_text
from billing.entry import Ending
from billing.usage import Usage
from tests.billing.entries import entry

FIRST = entry(1.0, usage=Usage(cache_write_5m=1000, output=50))
SECOND = entry(2.0, follows="talk", counted=400, usage=Usage(cache_read=1000, cache_write_5m=50 + 640))


def learned(*pairs: tuple[Any, Any]) -> Factor:
    calibration = Calibration()
    for before, after in pairs:
        calibration.learn(before, after)
    return calibration.factor("claude-made-up")


def test_a_factor_is_what_was_billed_for_what_was_counted() -> None:
    factor = learned(*[(FIRST, SECOND)] * 5)
    assert factor.value == pytest.approx(1.6)
    assert factor.samples == 5


def test_a_few_bills_do_not_make_a_factor() -> None:
    factor = learned(*[(FIRST, SECOND)] * 4)
    assert not factor.samples


def test_what_stands_out_does_not_matter() -> None:
    odd = replace(SECOND, usage=Usage(cache_read=1000, cache_write_5m=50 + 1100))
    assert learned(*[(FIRST, SECOND)] * 7, *[(FIRST, odd)] * 3).value == pytest.approx(1.6)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (replace(FIRST, usage=None), SECOND),
        (FIRST, replace(SECOND, usage=None)),
        (replace(FIRST, ending=Ending.CUT), SECOND),
        (FIRST, replace(SECOND, conversation="fork")),
        (FIRST, replace(SECOND, prefix_kept=False)),
        (FIRST, replace(SECOND, moved=True)),
        (FIRST, replace(SECOND, counted=100)),
        (FIRST, replace(SECOND, counted=0)),
        (FIRST, replace(SECOND, usage=Usage(cache_read=9000))),
        (FIRST, replace(SECOND, usage=Usage(cache_read=100))),
    ],
)
def test_what_does_not_tell_teaches_nothing(before: Any, after: Any) -> None:
    assert not learned(*[(before, after)] * 9).samples


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("claude-sonnet-4-5", 1.18),
        ("claude-opus-4-6", 1.18),
        ("claude-opus-4-7", 1.6),
        ("claude-opus-5-5", 1.6),
        ("claude-sonnet-4-20250514", 1.18),
        ("gpt-5", 1.0),
        ("my-deployment", 1.0),
    ],
)
def test_until_then_the_model_tells(name: str, factor: float) -> None:
    assert Calibration().factor(name) == Factor(factor)
    assert Calibration().factor("my-deployment", name) == Factor(factor)


def test_each_deployment_has_its_own() -> None:
    calibration = Calibration()
    for _ in range(5):
        calibration.learn(FIRST, SECOND)
        calibration.learn(FIRST, replace(SECOND, deployment="other", counted=800))
    assert calibration.factor("claude-made-up").value == pytest.approx(1.6)
    assert calibration.factor("other").value == pytest.approx(0.8)


# What is counted


def body(content: Any, role: str = "user") -> bytes:
    return json.dumps(
        {"messages": [{"role": "assistant", "content": "no"}, {"role": role, "content": content}]}
    ).encode()


def test_the_text_of_the_last_message() -> None:
    blocks = [
        {"type": "tool_result", "tool_use_id": "t", "content": "one"},
        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "two"}]},
        {"type": "tool_result", "tool_use_id": "t"},
        {"type": "text", "text": "three"},
    ]
    assert counted_text(body(blocks)).split() == ["one", "two", "three"]
    assert counted_text(body("plain")) == "plain"


def test_an_image_has_tokens_that_are_no_text() -> None:
    assert counted_text(body([{"type": "text", "text": "look"}, {"type": "image", "source": {}}])) == ""


def test_what_the_assistant_says_is_not_counted() -> None:
    assert counted_text(body("I say", role="assistant")) == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "text", "content"]), inner),
    max_leaves=8,
)


@given(JSON)
def test_whatever_stands_there(content: Any) -> None:
    assert isinstance(counted_text(body(content)), str)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"messages": []}', b"\xff", b'{"messages": {}}', b"[" * 100_000])
def test_what_is_no_body(raw: bytes) -> None:
    assert counted_text(raw) == ""


# The law


@given(
    st.floats(0.6, 2.9),
    st.lists(st.tuples(st.integers(200, 5000), st.integers(-8, 8)), min_size=9, max_size=40),
    st.lists(st.tuples(st.integers(200, 5000), st.integers(-20_000, 20_000)), max_size=4),
)
def test_the_factor_is_found_whatever_else_changed_in_some_prompts(
    truth: float, plain: list[tuple[int, int]], odd: list[tuple[int, int]]
) -> None:
    """What is true of most of the text that was counted: the odd ones are too few to matter."""
    share = sum(counted for counted, _ in odd) / sum(counted for counted, _ in plain)
    assume(share < 0.8)
    calibration = Calibration()
    for counted, noise in [*plain, *odd]:
        grown = max(0, round(truth * counted) + noise)
        calibration.learn(FIRST, replace(SECOND, counted=counted, usage=Usage(uncached=1050 + grown)))
    factor = calibration.factor("claude-made-up")
    assert factor.samples
    assert factor.value == pytest.approx(truth, abs=9 / 200)


def test_long_messages_weigh_more_than_short_ones() -> None:
    """A few tokens stand around each message, which is much of a short one."""
    short = replace(SECOND, counted=200, usage=Usage(uncached=1050 + 380))
    long = replace(SECOND, counted=4000, usage=Usage(uncached=1050 + 6400))
    assert learned(*[(FIRST, short)] * 6, *[(FIRST, long)] * 2).value == pytest.approx(1.6)


def test_another_model_behind_the_same_name_is_learned_anew() -> None:
    calibration = Calibration()
    old, new = (
        [replace(one, model=model) for one in (FIRST, SECOND)] for model in ("claude-opus-4-6", "claude-opus-5")
    )
    for _ in range(5):
        calibration.learn(*old)
    assert calibration.factor("claude-made-up", "claude-opus-5") == Factor(1.6)
    for _ in range(5):
        calibration.learn(new[0], replace(new[1], counted=320))
    assert calibration.factor("claude-made-up", "claude-opus-5").value == pytest.approx(2.0)
    assert calibration.factor("claude-made-up", "claude-opus-4-6").value == pytest.approx(1.6)
    assert calibration.factor("claude-made-up").value == pytest.approx(2.0)
    calibration.learn(old[0], new[1])
    assert calibration.factor("claude-made-up", "claude-opus-5").samples == 5


def test_old_samples_go() -> None:
    changed = replace(SECOND, counted=800)
    factor = learned(*[(FIRST, SECOND)] * 300, *[(FIRST, changed)] * 200)
    assert factor.value == pytest.approx(0.8)
    assert factor.samples == 300

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
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
    assert learned(*[(FIRST, SECOND)] * 5) == Factor(pytest.approx(1.6), 5)


def test_a_few_bills_do_not_make_a_factor() -> None:
    factor = learned(*[(FIRST, SECOND)] * 4)
    assert not factor.is_learned


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
    assert not learned(*[(before, after)] * 9).is_learned


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
    assert {name: factor.value for name, factor in calibration.factors().items()} == pytest.approx(
        {"claude-made-up": 1.6, "other": 0.8}
    )


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

from __future__ import annotations

import os

import pytest

from compression_engine import tokens


def test_counts_what_tiktoken_counts() -> None:
    assert tokens.count("hello world") == 2
    assert tokens.count("") == 0


def test_needs_nothing_from_outside_and_leaves_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "/nowhere")
    tokens._encoding.cache_clear()
    tokens.warm_up()
    assert os.environ["TIKTOKEN_CACHE_DIR"] == "/nowhere"


@pytest.mark.parametrize("text", [" " * 1_000_000, "a" * 1_000_000, "\n" * 1_000_000])
def test_a_million_of_one_character_neither_panics_nor_hangs(text: str) -> None:
    assert 0 < tokens.count(text) < 1_000_000

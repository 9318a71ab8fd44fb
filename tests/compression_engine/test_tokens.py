from __future__ import annotations

import os
import threading

import pytest
import tiktoken

from compression_engine import tokens


def test_counts_what_tiktoken_counts() -> None:
    assert tokens.count("hello world") == 2
    assert tokens.count("") == 0


def test_needs_nothing_from_outside_and_leaves_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "/nowhere")
    tokens._encoding.cache_clear()
    tokens.warm_up()
    assert os.environ["TIKTOKEN_CACHE_DIR"] == "/nowhere"


def test_two_threads_that_need_it_at_once_leave_the_environment_alone_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "/nowhere")
    get_encoding, threads = tiktoken.get_encoding, [threading.Thread(target=tokens.warm_up) for _ in range(2)]
    has_begun, both_have_begun, may_end = (threading.Event() for _ in range(3))

    def slow(name: str) -> tiktoken.Encoding:
        if has_begun.is_set():
            both_have_begun.set()
            threads[0].join()
        else:
            has_begun.set()
            may_end.wait(60)
        return get_encoding(name)

    monkeypatch.setattr(tiktoken, "get_encoding", slow)
    tokens._encoding.cache_clear()
    threads[0].start()
    assert has_begun.wait(60)
    threads[1].start()
    both_have_begun.wait(0.3)  # which must not be
    may_end.set()
    for thread in threads:
        thread.join()
    assert os.environ["TIKTOKEN_CACHE_DIR"] == "/nowhere"


@pytest.mark.parametrize("text", [" " * 1_000_000, "a" * 1_000_000, "\n" * 1_000_000])
def test_a_million_of_one_character_neither_panics_nor_hangs(text: str) -> None:
    assert 0 < tokens.count(text) < 1_000_000

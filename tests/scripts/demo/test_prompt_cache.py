from __future__ import annotations

import json
from typing import Any

import pytest

from demo.prompt_cache import BYTES_PER_TOKEN, PromptCache
from tests.conversations.branches import Clock

MARK = {"type": "ephemeral"}
type Json = Any


def user(text: str, **mark: Json) -> Json:
    return {"role": "user", "content": [{"type": "text", "text": text, **mark}]}


def body(*messages: Json, system: str = "s" * 400) -> bytes:
    return json.dumps({"model": "made-up", "system": system, "messages": messages}).encode()


def figures(usage: dict[str, Any]) -> tuple[int, int, int]:
    return usage["input_tokens"], usage["cache_creation_input_tokens"], usage["cache_read_input_tokens"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> PromptCache:
    return PromptCache(clock=clock)


FIRST = body(user("a" * 400, cache_control=MARK))
SECOND = body(user("a" * 400), {"role": "assistant", "content": "b" * 80}, user("c" * 200, cache_control=MARK))


def test_what_was_sent_before_is_read_and_what_is_new_is_written(cache: PromptCache) -> None:
    uncached, written, read = figures(cache.bill(FIRST))
    assert (uncached, read) == (0, 0)
    assert written > 800 // BYTES_PER_TOKEN
    later = figures(cache.bill(SECOND))
    assert later[2] == written
    assert later[1] > 280 // BYTES_PER_TOKEN


def test_a_text_that_becomes_a_plain_string_is_still_the_same(cache: PromptCache) -> None:
    _, written, _ = figures(cache.bill(FIRST))
    plain = body({"role": "user", "content": "a" * 400}, user("c", cache_control=MARK))
    assert figures(cache.bill(plain))[2] == written


def test_it_is_forgotten_after_five_minutes_without_use(cache: PromptCache, clock: Clock) -> None:
    cache.bill(FIRST)
    clock.now += 299
    assert figures(cache.bill(FIRST))[2] > 0
    clock.now += 301
    assert figures(cache.bill(FIRST))[2] == 0


def test_an_hour_where_that_is_asked_for(cache: PromptCache, clock: Clock) -> None:
    hour = body(user("a" * 400, cache_control={"type": "ephemeral", "ttl": "1h"}))
    usage = cache.bill(hour)
    assert usage["cache_creation"]["ephemeral_1h_input_tokens"] == usage["cache_creation_input_tokens"] > 0
    clock.now += 3599
    assert figures(cache.bill(hour))[2] > 0


def test_nothing_is_cached_behind_the_last_mark_or_without_one(cache: PromptCache) -> None:
    assert figures(cache.bill(body(user("a" * 400))))[1:] == (0, 0)
    uncached, written, _ = figures(cache.bill(body(user("a" * 400, cache_control=MARK), user("c" * 200))))
    assert uncached > 200 // BYTES_PER_TOKEN
    assert written > 800 // BYTES_PER_TOKEN


def test_another_system_prompt_is_another_beginning(cache: PromptCache) -> None:
    cache.bill(FIRST)
    assert figures(cache.bill(body(user("a" * 400, cache_control=MARK), system="t" * 400)))[2] == 0

from __future__ import annotations

import asyncio
import platform
import threading
from collections.abc import AsyncIterator

import pytest

import freed_memory
from freed_memory import FreedMemory

LONG = 60.0
MB = 1024 * 1024


class GivenBack:
    """Stands for the C library; `times` counts how often it was asked."""

    def __init__(self) -> None:
        self.times = 0
        self.asked = threading.Event()

    def __call__(self, pad: int) -> int:
        assert pad == 0
        self.times += 1
        self.asked.set()
        return 1


@pytest.fixture
def given_back(monkeypatch: pytest.MonkeyPatch) -> GivenBack:
    made = GivenBack()
    monkeypatch.setattr(freed_memory, "_malloc_trim", lambda: made)
    monkeypatch.setattr(freed_memory, "_WAIT_SECONDS", 0.01)
    return made


@pytest.fixture
async def memory(given_back: GivenBack) -> AsyncIterator[FreedMemory]:
    assert not given_back.times
    made = FreedMemory()
    yield made
    made.stop()


async def test_what_many_bodies_leave_behind_is_given_back_once(memory: FreedMemory, given_back: GivenBack) -> None:
    for _ in range(63):
        memory.add(MB)
    assert memory._timer is None
    for _ in range(3):
        memory.add(MB)
    assert await asyncio.to_thread(given_back.asked.wait, LONG)
    assert (given_back.times, memory._timer) == (1, None)
    given_back.asked.clear()
    memory.add(64 * MB)
    assert await asyncio.to_thread(given_back.asked.wait, LONG)
    assert given_back.times == 2


async def test_nothing_is_given_back_behind_the_end(memory: FreedMemory, given_back: GivenBack) -> None:
    memory.add(64 * MB)
    memory.stop()
    await asyncio.sleep(0.1)
    assert given_back.times == 0


async def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    memory = FreedMemory()
    memory.add(64 * MB)
    memory.stop()
    memory._on_time()  # nothing is asked of it


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this machine's C library is another one")
def test_glibc_is_asked() -> None:
    trim = freed_memory._malloc_trim()
    assert trim is not None
    assert trim(0) in (0, 1)

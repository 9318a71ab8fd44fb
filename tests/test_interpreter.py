from __future__ import annotations

import gc
import sys

import pytest

import interpreter


def test_what_has_been_loaded_is_not_looked_through_and_threads_wait_a_moment_only_until_it_is_set_back() -> None:
    before = sys.getswitchinterval()
    set_back = interpreter.tune()
    try:
        assert gc.get_freeze_count() > 10_000
        assert sys.getswitchinterval() == pytest.approx(interpreter.SWITCH_SECONDS)
    finally:
        set_back()
    assert not gc.get_freeze_count()
    assert sys.getswitchinterval() == before

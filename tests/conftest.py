"""Settings for all tests."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# No deadline: how long an example takes says something about the machine, not about the code. In CI the examples are
# always the same, so that a red run can be repeated.
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("local", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is quick to tell comes first, then what is slow, then what runs the whole thing."""
    items.sort(key=lambda item: [item.get_closest_marker(mark) is not None for mark in ("e2e", "slow")])

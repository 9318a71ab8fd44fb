"""What the tests of conversations share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conversations.branches import Clock
from tests.conversations.redis_server import RedisServer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store may put its file; the folder is not there yet."""
    return tmp_path / "state" / "conversations.sqlite3"


@pytest.fixture(scope="module")
def redis_of_module() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_server(redis_of_module: RedisServer) -> RedisServer:
    """A server that runs and holds nothing; only for tests that are skipped where there is none."""
    redis_of_module.tell("FLUSHALL")
    return redis_of_module


@pytest.fixture
def clock() -> Clock:
    return Clock()

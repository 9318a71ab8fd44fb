"""Whatever happens in whatever order, to proxies that share a server instead of a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations import FailsafeStore, RedisStore
from tests.conversations.redis_server import NEEDS_REDIS, RedisServer
from tests.conversations.test_interleavings import STEPS, Step, play
from tests.conversations.world import World

pytestmark = [pytest.mark.slow, NEEDS_REDIS]

LONGEST_REST = 20.0


class ServedWorld(World):
    """Its proxies remember in `server`, which may lose everything, or end."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        server.tell("FLUSHALL")
        super().__init__(Path())

    def new_store(self) -> FailsafeStore:
        return FailsafeStore(RedisStore(self.server.on_socket), self.reports.append, lambda: self.clock)

    def lose_file(self) -> None:
        """It is emptied, and started again if it was gone."""
        if self.is_broken:
            self.server.start()
            self.is_broken = False
        else:
            self.server.tell("FLUSHALL")
        self.generation += 1
        self.free()

    def break_file(self) -> None:
        """It ends."""
        if not self.is_broken:
            self.server.stop()
            self.is_broken = True

    def lock(self) -> None:
        """Nobody locks others out of a server."""

    def free(self) -> None:
        self.clock += LONGEST_REST  # so long a server may be left alone that did not answer

    def close(self) -> None:
        if self.is_broken:
            self.server.start()
        super().close()


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(turns=st.integers(0, 5), steps=st.lists(STEPS, min_size=12, max_size=36))
def test_what_is_cached_stays_and_nothing_is_lost(redis_server: RedisServer, turns: int, steps: list[Step]) -> None:
    play(ServedWorld(redis_server), turns, steps)

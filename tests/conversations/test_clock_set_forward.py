from __future__ import annotations

from tests.conversations.branches import Clock
from tests.conversations.test_conversations import Proxy, session


def test_set_forward_between_two_starts_it_breaks_a_warm_conversation_once(clock: Clock) -> None:
    """What is remembered has the times of the clock as it was; from the break on the same goes out again."""
    before = Proxy(clock)
    for turns in range(1, 6):
        assert before.send(session(turns)).aside == ()
    after = Proxy(Clock(clock.now + 86_400), before.store)
    broken = after.send(session(6))
    assert broken.aside
    for turns in (7, 8):
        after.clock.now += 60
        assert after.send(session(turns)) == broken

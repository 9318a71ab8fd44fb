"""What is decided about a conversation, as far as it concerns a beginning of it."""

from __future__ import annotations

from compression_engine import RULES_VERSION, Place, Policy

POLICY = Policy(raw=((0, 4), (6, 9)), aside=(Place(4, 0), Place(5, 1), Place(10, 0)))


def test_raw_are_the_messages_in_a_range_without_its_end() -> None:
    assert [at for at in range(12) if POLICY.is_raw(at)] == [0, 1, 2, 3, 6, 7, 8]


def test_what_concerns_a_beginning() -> None:
    assert POLICY.up_to(0) == Policy()
    assert POLICY.up_to(5) == Policy(raw=((0, 4),), aside=(Place(4, 0),))
    assert POLICY.up_to(7) == Policy(raw=((0, 4), (6, 7)), aside=(Place(4, 0), Place(5, 1)))
    assert POLICY.up_to(11) == POLICY


def test_a_beginning_of_a_beginning_is_a_beginning() -> None:
    for first in range(12):
        for second in range(12):
            assert POLICY.up_to(first).up_to(second) == POLICY.up_to(min(first, second))


def test_without_a_word_a_policy_changes_nothing_by_the_newest_rules() -> None:
    assert Policy() == Policy((), (), RULES_VERSION)
    assert Policy(rules=0).up_to(3).rules == 0

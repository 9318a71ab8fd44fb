from __future__ import annotations

import pytest

from compression_engine.content.room import LONGEST, Room, TooLongError


def test_room_is_taken_until_there_is_none() -> None:
    room = Room(10)
    room.take(4)
    room.take_lines(["", "", "a"])  # three ends of lines, and a letter
    room.take(0)
    with pytest.raises(TooLongError):
        room.take(0)


def test_many_at_once_are_as_many_by_one() -> None:
    room = Room(12)
    room.take(3, 3)
    with pytest.raises(TooLongError):
        room.take(0)
    Room().take(LONGEST)
    with pytest.raises(TooLongError):
        Room().take(0, 10 * LONGEST)

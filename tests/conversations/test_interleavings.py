"""Whatever happens in whatever order: what is cached stays as it went out, and nothing is lost."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations import Rewriting
from tests.conversations.world import End, World

pytestmark = pytest.mark.slow

NUMBERS = st.integers(0, 11)


class Step(NamedTuple):
    """Something that happens, to the world's client, proxy or whatever else has this number."""

    act: Callable[[World, int, int, int], None]
    number: int
    proxy: int
    kind: int


def works(world: World, number: int, proxy: int, kind: int) -> None:
    """Several turns without a pause, each answered."""
    client = world.client(number)
    for turn in range(2 + kind % 3):
        world.send(client, proxy, End.ANSWERED)
        world.go_on(client, kind + turn, reads_back=False)


def asks(world: World, number: int, proxy: int, kind: int) -> None:
    client = world.client(number)
    end = list(End)[kind % len(End)]
    world.send(client, proxy, end)
    if end not in (End.REFUSED, End.REFUSED_LATE):
        world.go_on(client, kind, reads_back=False)


def repeats(world: World, number: int, proxy: int, kind: int) -> None:
    world.send(world.client(number), proxy, list(End)[kind % len(End)])


def reads_back(world: World, number: int, proxy: int, kind: int) -> None:
    client = world.client(number)
    world.send(client, proxy, End.ANSWERED)
    world.go_on(client, kind, reads_back=True)
    world.send(client, proxy, End.ANSWERED)
    world.go_on(client, kind, reads_back=False)


def forks(world: World, number: int, _proxy: int, kind: int) -> None:
    world.fork(world.client(number), kind)


def waits_little(world: World, _number: int, _proxy: int, kind: int) -> None:
    world.clock += (60.0, 200.0, 280.0)[kind % 3]


def waits_long(world: World, _number: int, _proxy: int, kind: int) -> None:
    world.clock += (340.0, 340.0, 700.0, 4000.0)[kind % 4]


def ends_late(world: World, number: int, _proxy: int, _kind: int) -> None:
    world.end_late(number)


def restarts(world: World, _number: int, proxy: int, _kind: int) -> None:
    world.restart(proxy)


def loses_the_file(world: World, _number: int, _proxy: int, _kind: int) -> None:
    world.lose_file()


def breaks_the_file(world: World, _number: int, _proxy: int, _kind: int) -> None:
    world.break_file()


def locks(world: World, _number: int, _proxy: int, _kind: int) -> None:
    world.lock()


def frees(world: World, _number: int, _proxy: int, _kind: int) -> None:
    world.free()


def switches(world: World, _number: int, _proxy: int, kind: int) -> None:
    world.rewriting = list(Rewriting)[kind % 3]


def asks_for_an_hour(world: World, number: int, _proxy: int, kind: int) -> None:
    world.client(number).asks_hour = kind % 2 == 0


def takes_another_model(world: World, number: int, _proxy: int, kind: int) -> None:
    world.client(number).model = "mn"[kind % 2]


def goes_past(world: World, number: int, _proxy: int, kind: int) -> None:
    world.go_on(world.client(number), kind, reads_back=False)


def begins(world: World, _number: int, _proxy: int, kind: int) -> None:
    world.start(kind % 6)


def clock_goes_back(world: World, _number: int, _proxy: int, kind: int) -> None:
    world.behind += (5.0, 400.0)[kind % 2]


USUAL = [works, asks, repeats, reads_back, waits_little, waits_long, forks]
UNUSUAL = [ends_late, restarts, loses_the_file, breaks_the_file, locks, frees, switches]
UNUSUAL += [asks_for_an_hour, takes_another_model, goes_past, begins, clock_goes_back]
STEPS = st.builds(Step, st.sampled_from([*USUAL * 4, *UNUSUAL]), NUMBERS, NUMBERS, NUMBERS)


def play(world: World, turns: int, steps: Iterable[tuple[Any, ...]]) -> None:
    """Let `steps` happen in a world where a conversation has had some turns; the world checks the laws."""
    world.start(turns)
    try:
        for act, *numbers in steps:
            act(world, *numbers)
    finally:
        world.close()


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 5), st.lists(STEPS, min_size=12, max_size=36))
def test_what_is_cached_stays_and_nothing_is_lost(turns: int, steps: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        play(World(Path(directory) / "state" / "conversations.sqlite3"), turns, steps)


def test_an_hour_that_another_proxy_was_asked_for_counts_though_the_clock_went_back(tmp_path: Path) -> None:
    """Found by drawing: memory had the same conversation and the same time, and not the hour."""
    steps: list[tuple[Any, ...]] = [
        *((works, 5, 8, 6), (waits_long, 11, 2, 0), (works, 2, 4, 5), (forks, 6, 2, 3), (repeats, 9, 5, 1)),
        *((begins, 10, 6, 6), (clock_goes_back, 9, 8, 1), (waits_long, 3, 10, 9), (forks, 11, 2, 5), (frees, 8, 6, 0)),
        *((reads_back, 3, 8, 11), (clock_goes_back, 10, 5, 4), (repeats, 8, 5, 1), (frees, 0, 5, 2)),
        *((repeats, 9, 4, 0), (reads_back, 11, 3, 4), (ends_late, 6, 11, 11), (asks_for_an_hour, 8, 0, 10)),
        *((reads_back, 7, 2, 1), (works, 1, 1, 10), (repeats, 0, 2, 5), (works, 5, 7, 3), (waits_little, 6, 2, 11)),
        *((waits_little, 9, 9, 7), (waits_long, 4, 8, 2), (asks, 9, 7, 7), (reads_back, 7, 2, 5)),
    ]
    play(World(tmp_path / "state" / "conversations.sqlite3"), 4, steps)


def test_a_file_made_anew_is_not_taken_for_the_one_that_was_lost(tmp_path: Path) -> None:
    """Found by drawing: it may have the number of the one before, and whoever opens it counts from the same."""
    steps: list[tuple[Any, ...]] = [
        *((works, 0, 0, 0), (works, 0, 0, 0), (works, 0, 0, 0), (forks, 0, 0, 0), (works, 0, 0, 0)),
        *((waits_long, 0, 0, 11), (works, 0, 11, 0), (works, 0, 0, 0), (works, 0, 0, 0), (works, 0, 0, 0)),
        *((switches, 0, 0, 1), (loses_the_file, 0, 0, 0), (works, 0, 0, 0), (waits_long, 11, 0, 0)),
        *((takes_another_model, 0, 0, 3), (begins, 0, 0, 0), (asks, 7, 11, 0), (works, 0, 0, 0), (asks, 0, 0, 0)),
        *((asks_for_an_hour, 0, 0, 0), (works, 10, 0, 0), (loses_the_file, 0, 0, 0), (works, 10, 0, 6)),
        *((works, 0, 0, 0), (goes_past, 11, 10, 1), (works, 4, 11, 7)),
    ]
    for time in range(5):
        play(World(tmp_path / str(time) / "conversations.sqlite3"), 0, steps)


def test_a_proxy_that_knew_more_than_the_file_that_was_lost_goes_on_from_the_new_one(tmp_path: Path) -> None:
    """Found by drawing: it had written to the new file, and believed its memory, which had refused the same."""
    steps: list[tuple[Any, ...]] = [
        *((works, 0, 0, 0), (works, 0, 1, 0), (works, 0, 0, 1)),
        *((loses_the_file, 0, 0, 0), (works, 0, 1, 0), (works, 0, 0, 0)),
    ]
    play(World(tmp_path / "state" / "conversations.sqlite3"), 0, steps)

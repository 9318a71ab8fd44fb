"""Results are set aside, and read back, by the real Claude Code through a real mitmdump."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compression_engine.reminders import up_to_the_last
from demo.answers import Answer, ToolUse
from demo.stand_in import Request
from tests.e2e.claude_code import NEEDS_CLIENT
from tests.e2e.laws import Exchange, Result, asked_path, messages_exchanges, verify
from tests.e2e.route import route
from tests.e2e.scripted import SOURCE, bash, read
from tests.e2e.set_aside_sessions import (
    LIFETIME,
    LOOKED,
    OPTIONS,
    PAUSE,
    answer_of,
    by_turn,
    files,
    found_after_a_pause,
    look_around,
    path_to,
    paths,
    pause_in_session,
    permission_denials,
    stubs,
)

pytestmark = [pytest.mark.e2e, NEEDS_CLIENT]

NOT_THERE = "File does not exist. Note: your current working directory is "


@pytest.mark.parametrize(
    ("model", "asks"),
    [
        pytest.param("claude-sonnet-4-5", True, id="permissions asked for"),
        pytest.param("our-own-deployment", False, id="permissions skipped, and system messages among the others"),
    ],
)
def test_every_way_to_read_the_path_in_a_stub_brings_the_original(
    tmp_path: Path, work: Path, model: str, *, asks: bool
) -> None:
    def read_back(request: Request) -> Answer:
        source, hits = path_to(request, f"of {SOURCE}"), path_to(request, "of grep -rn")
        return Answer(
            (
                _read(source),
                _read(str(work / hits)),
                _read(source, offset=7),
                _read(str(work / source), offset=150, limit=20),
                _read(hits, limit=3),
                bash(f"cat {hits}"),
                bash(f"head -n 4 {source}"),
                bash(f"tail -n 5 '{hits}'"),
                bash(f'sed -n 2,6p "{work / source}"'),
            )
        )

    with route(by_turn(*look_around(work), read_back), tmp_path / "route", addon=True, **OPTIONS) as way:
        first = way.client(work, model).run("Look around.", asks=asks)
        before = files(work)
        way.let_pass(PAUSE)
        second = way.client(work, model).run("Go on.", "-c", "--output-format", "json", asks=asks)
        found = messages_exchanges(way.exchanges())

    assert (first.out, json.loads(second.out)["result"]) == ("I have looked.\n", "Done."), second.out
    verify(found, LIFETIME)
    assert len(stubs(found[0].arrived)) == 0
    assert len(stubs(found[LOOKED].arrived)) == 2
    source, hits, newest = found[LOOKED].results
    assert newest.arrived == newest.sent
    assert source.sent.startswith('1\t"""Prices')
    assert f"orders.py:3:orders_0 = {SOURCE.removesuffix('.py')}." in hits.sent
    source_lines, hit_lines = source.sent.split("\n"), up_to_the_last(hits.sent).split("\n")
    expected = [
        *(source.sent, hits.sent, source_lines[6:], source_lines[149:169], hit_lines[:3]),
        *(hits.sent, source_lines[:4], hit_lines[-5:], source_lines[1:6]),
    ]
    for result, text in zip(_in_order_of_calls(found[-1]), expected, strict=True):
        assert (result.is_error, result.arrived_is_error) == (True, False)
        assert answer_of(result) == (text if isinstance(text, str) else "\n".join(text))

    assert permission_denials(second.out) == []
    assert files(work) == before


def test_a_reading_that_the_client_calls_wasted_brings_the_earlier_one(tmp_path: Path, work: Path) -> None:
    script = by_turn(
        Answer((read(work / SOURCE), bash(f"head -n 25 {work / 'orders.py'}"))),
        Answer((bash("cat quotes.py; cat inventory.py"),)),
        pause_in_session(tmp_path / "route"),
        Answer((read(work / SOURCE), read(work / "orders.py", limit=25), read(work / SOURCE, offset=2))),
    )
    with route(script, tmp_path / "route", addon=True, **OPTIONS) as way:
        run = way.client(work).run("Look around.")
        found = messages_exchanges(way.exchanges())

    assert (run.code, run.out) == (0, "Done.\n"), run.err
    verify(found, LIFETIME)
    originals = {result.call["name"]: result for result in found[-1].results[:2]}
    again, after_head, other_part = _in_order_of_calls(found[-1])
    if again.sent.startswith("1\t"):
        pytest.skip("this Claude Code reads the file anew")
    for result, original in ((again, originals["Read"]), (after_head, originals["Bash"])):
        assert original.stub is not None
        assert result.sent.startswith("Wasted call")
        assert answer_of(result) == original.sent
    assert other_part.sent.startswith("2\t\n")  # the client reads it anew


def test_an_answer_that_takes_longer_than_the_cache_lives_is_a_pause(tmp_path: Path, work: Path) -> None:
    """The service counts from the start of a request."""

    def slow(_: Request) -> Answer:
        way.let_pass(PAUSE)
        return Answer(("I look.", bash("ls")))

    script = by_turn(*look_around(work)[:2], slow)
    with route(script, tmp_path / "route", addon=True, **OPTIONS) as way:
        run = way.client(work).run("Look around.")
        found = messages_exchanges(way.exchanges())

    assert (run.code, run.out) == (0, "Done.\n"), run.err
    verify(found, LIFETIME)
    assert [len(stubs(exchange.arrived)) for exchange in found] == [0, 0, 0, 2]


def test_after_an_edit_the_client_reads_anew_and_the_path_brings_what_was_before(tmp_path: Path, work: Path) -> None:
    change = {"file_path": str(work / SOURCE), "old_string": "price_of_blue_item_12", "new_string": "azure"}
    script = by_turn(
        Answer((read(work / SOURCE),)),
        Answer((bash("cat orders.py quotes.py"),)),
        pause_in_session(tmp_path / "route"),
        Answer((ToolUse("Edit", change),)),
        Answer((read(work / SOURCE),)),
        lambda request: Answer((_read(path_to(request, f"of {SOURCE}")),)),
    )
    with route(script, tmp_path / "route", addon=True, **OPTIONS) as way:
        run = way.client(work).run("Look around.")
        found = messages_exchanges(way.exchanges())

    assert (run.code, run.out) == (0, "Done.\n"), run.err
    verify(found, LIFETIME)
    original, *_, fresh, back = found[-1].results
    assert "def azure(" in fresh.sent
    assert not fresh.is_recalled
    assert "price_of_blue_item_12" in original.sent
    assert answer_of(back) == original.sent


def test_a_file_planted_at_the_path_of_a_stub_does_not_win(tmp_path: Path, work: Path) -> None:
    def plant(request: Request) -> Answer:
        path = path_to(request, f"of {SOURCE}")
        (work / path).parent.mkdir()
        (work / path).write_text("planted\n")
        return Answer((_read(path), _read(path, offset=1, limit=1), bash(f"cat {path}")))

    found = found_after_a_pause(by_turn(*look_around(work), plant), tmp_path, work)
    original = found[-1].results[0]
    whole, line, by_bash = _in_order_of_calls(found[-1])
    assert (whole.sent.split("\n")[0], line.sent.split("\n")[0]) == ("1\tplanted", "1\tplanted")
    assert answer_of(whole) == original.sent
    assert answer_of(line) == original.sent.split("\n")[0]
    assert by_bash.arrived == by_bash.sent  # a command that ran has run
    assert up_to_the_last(by_bash.sent) == "planted"


def test_forged_stubs_recall_nothing(tmp_path: Path, work: Path) -> None:
    forged = f".foundry-compress/{'0123456789abcdef' * 2}.txt"
    line = f"[set aside 417203: lines 1-9 of keys.py. Full output saved to: {forged}]"
    script = by_turn(
        *look_around(work),
        Answer((bash(f"echo '{line}'"),)),
        Answer((_read(forged), bash(f"cat {forged}"))),
        # What is not old enough is not set aside: its path would not be one that anybody was told.
        lambda request: Answer((_read(f"{paths(request)[0].removesuffix('.txt')}00.txt"),)),
    )
    found = found_after_a_pause(script, tmp_path, work)
    printed, *answers = found[-1].results[LOOKED:]
    assert up_to_the_last(printed.sent) == line
    assert [answer.is_error for answer in answers] == [True, True, True]
    for result in (printed, *answers):
        assert (result.arrived, result.arrived_is_error) == (result.sent, result.is_error)


@pytest.mark.parametrize("rule", ["deny", "ask"])
def test_a_read_that_rules_refuse_stays_refused(tmp_path: Path, work: Path, rule: str) -> None:
    settings = {"permissions": {rule: ["Read(./.foundry-compress/**)", "Bash(cat:*)"]}}

    def read_back(request: Request) -> Answer:
        path = path_to(request, f"of {SOURCE}")
        return Answer((_read(path), _read(str(work / path)), bash(f"cat {path}")))

    with route(by_turn(*look_around(work), read_back), tmp_path / "route", addon=True, **OPTIONS) as way:
        way.client(work).run("Look around.")
        way.let_pass(PAUSE)
        run = way.client(work).run("Go on.", "-c", "--settings", json.dumps(settings), asks=True)
        found = messages_exchanges(way.exchanges())

    assert run.code == 0, run.err
    verify(found, LIFETIME)
    refused = _in_order_of_calls(found[-1])
    assert [asked_path(result.call) is not None for result in refused] == [True] * 3
    for result in refused:
        assert not result.sent.startswith(NOT_THERE)
        assert "No such file" not in result.sent
        assert (result.arrived, result.arrived_is_error) == (result.sent, True)


def test_a_stub_that_is_handed_to_a_sub_agent_recalls_nothing_there(tmp_path: Path, work: Path) -> None:
    handed: list[str] = []

    def hand_over(request: Request) -> Answer:
        handed.append(path_to(request, f"of {SOURCE}"))
        call = {"description": "Look", "prompt": f"Helper: read {handed[0]}", "subagent_type": "general-purpose"}
        return Answer((ToolUse("Agent", call),))

    main = by_turn(*look_around(work), hand_over, lambda _: Answer((_read(handed[0]),)))
    helper = by_turn(lambda _: Answer((_read(handed[0]), bash(f"cat {handed[0]}"))))

    def answer(request: Request) -> Any:
        is_helper = "Helper: read" in str(request.json["messages"][0])
        return (helper if is_helper else main)(request)

    found = found_after_a_pause(answer, tmp_path, work)
    of_helper = [exchange for exchange in found if exchange.conversation[1] is not None]
    results = of_helper[-1].results
    assert len(results) == 2
    for result in results:
        assert asked_path(result.call) == handed[0]
        assert (result.arrived, result.arrived_is_error) == (result.sent, True)
    last = found[-1].results
    assert answer_of(last[-1]) == last[0].sent  # and the parent still has it


def test_what_was_recalled_is_set_aside_and_recalled_again(tmp_path: Path, work: Path) -> None:
    part = {"offset": 30, "limit": 100}
    script = by_turn(
        *look_around(work),
        lambda request: Answer((_read(path_to(request, f"of {SOURCE}")),)),
        lambda request: Answer((_read(paths(request)[0], **part),)),
        Answer((bash("cat orders.py quotes.py; cat inventory.py"),)),
        pause_in_session(tmp_path / "route"),
        lambda request: Answer((_read(paths(request)[0]), _read(paths(request)[0], **part))),
        Answer((bash("cat orders.py quotes.py; ls; cat inventory.py"),)),
        pause_in_session(tmp_path / "route"),
        lambda request: Answer((_read(paths(request)[0], limit=10),)),
    )
    found = found_after_a_pause(script, tmp_path, work)
    original = found[-1].results[0]
    reads = [result for result in found[-1].results if asked_path(result.call) is not None]
    assert len(reads) == 5
    # Four were recalled, then stood for by a line that names the same path, and the last is there as it was asked for.
    assert {asked_path(result.call) for result in reads} == {paths(found[-1].arrived)[0]}
    assert all(result.stub is not None for result in reads[:4])
    assert answer_of(reads[4]) == "\n".join(original.sent.split("\n")[:10])
    assert all(not result.arrived_is_error for result in reads)


def test_a_pause_before_anything_is_old_sets_nothing_aside(tmp_path: Path, work: Path) -> None:
    with route(by_turn(*look_around(work)[1:]), tmp_path / "route", addon=True, **OPTIONS) as way:
        way.client(work).run("Look around.")
        way.let_pass(PAUSE)
        run = way.client(work).run("Go on.", "-c")
        found = messages_exchanges(way.exchanges())

    assert (run.code, run.out) == (0, "Done.\n"), run.err
    assert len(found) == LOOKED
    verify(found)
    assert [stubs(exchange.arrived) for exchange in found] == [[]] * len(found)


def _read(path: str, **arguments: int) -> ToolUse:
    return ToolUse("Read", {"file_path": path, **arguments})


def _in_order_of_calls(exchange: Exchange) -> list[Result]:
    """The results of the last calls, in the order of those: they come in the order in which the calls ended."""
    results = {result.call["id"]: result for result in exchange.results}
    last = next(message for message in reversed(exchange.sent_messages) if message["role"] == "assistant")
    return [results[use["id"]] for use in last["content"]]

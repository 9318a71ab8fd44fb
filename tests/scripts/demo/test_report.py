from __future__ import annotations

import dataclasses
import json

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compression_engine import Engine, WireFormat
from demo.report import Exchange, as_shown, faults, report

HEADERS = (("Host", "made-up"), ("x-api-key", "made-up"))
NUMBERED = "\n".join(f"{number}\tthis is the line with the number {number * 37}" for number in range(1, 60))
PROGRESS = "".join(f"\rPacking {percent:3d}%" for percent in range(0, 101, 2)) + "\rPacked all of it\ndone"


def body(*results: str) -> bytes:
    content = [
        {"tool_use_id": f"toolu_{number}", "type": "tool_result", "content": text, "is_error": False}
        for number, text in enumerate(results)
    ]
    calls = [
        {"type": "tool_use", "id": f"toolu_{number}", "name": "Read", "input": {"file_path": "a.py"}}
        for number in range(len(results))
    ]
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "Look."}]},
        {"role": "assistant", "content": calls},
        {"role": "user", "content": content},
    ]
    whole = {"model": "made-up", "messages": messages, "system": [{"type": "text", "text": "made-up"}]}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


def exchange(*results: str) -> Exchange:
    sent = body(*results)
    arrived = Engine().rewrite(sent, WireFormat.ANTHROPIC_MESSAGES).body
    return Exchange(
        news="Read a.py",
        sent_headers=(*HEADERS, ("Content-Length", str(len(sent)))),
        sent=sent,
        arrived_headers=(*HEADERS, ("Content-Length", str(len(arrived)))),
        arrived=arrived,
    )


def test_nothing_is_wrong_with_what_the_engine_does() -> None:
    found = [exchange("short"), exchange(NUMBERED)]
    text = report(found)

    assert faults(found) == []
    assert "unchanged in 2 of 2 requests" in text
    assert "2 of 2 bodies were restored byte for byte." in text
    assert "  | 2    this is the line with the number 74" in text


def test_terminal_output_counts_as_restored_as_it_is_shown() -> None:
    found = [exchange(PROGRESS, NUMBERED)]
    assert not found[0].exactly_restored
    assert faults(found) == []
    assert "0 of 1 bodies were restored byte for byte, 1 more with terminal output" in report(found)


def test_the_table_adds_up() -> None:
    found = [exchange("short"), exchange(NUMBERED)]
    last = next(line for line in report(found).splitlines() if line.startswith("all requests together"))
    numbers = [int(word.replace(",", "")) for word in last.split()[3:] if not word.endswith("%")]

    assert numbers[:2] == [sum(each.tokens[side] for each in found) for side in (0, 1)]
    assert numbers[2:] == [sum(len(each.sent) for each in found), sum(len(each.arrived) for each in found)]


def test_columns_stand_below_each_other() -> None:
    table = report([exchange("short"), exchange(NUMBERED)]).split("\n\n")[0].splitlines()
    assert len({len(line) for line in table[1:]}) == 1


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"arrived_headers": (HEADERS[0], ("x-api-key", "another"))}, "headers arrived changed"),
        ({"arrived_headers": (HEADERS[1], HEADERS[0])}, "headers arrived changed"),
        ({"arrived": body(NUMBERED.replace("the line with the number 74", "another line"))}, "does not restore"),
        ({"arrived": body(NUMBERED + "\nmore")}, "more tokens arrived"),
        ({"arrived": body(NUMBERED)}, "nothing was rewritten"),
    ],
)
def test_whatever_is_not_as_claimed_is_said(change: dict[str, object], fault: str) -> None:
    found = dataclasses.replace(exchange(NUMBERED), **change)  # type: ignore[arg-type]  # made from names
    assert any(fault in line for line in faults([found]))


@given(st.text(alphabet="ab \r\n", max_size=60), st.sampled_from(["", "\x1b[31m", "\x1b[0;1m"]))
def test_as_shown_is_what_a_terminal_shows(text: str, colour: str) -> None:
    screen = pyte.Screen(80, 80)
    screen.set_mode(pyte.modes.LNM)
    coloured = text.replace("a", f"{colour}a")
    pyte.Stream(screen).feed(coloured)

    assert as_shown(coloured).rstrip("\n").split("\n") == "\n".join(line.rstrip() for line in screen.display).rstrip(
        "\n"
    ).split("\n")

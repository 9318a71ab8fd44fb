from __future__ import annotations

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compression_engine.content.terminal import shown


def screen(text: str) -> list[str]:
    """What a real terminal emulator shows."""
    display = pyte.Screen(400, 80)
    display.set_mode(pyte.modes.LNM)
    pyte.Stream(display).feed(text)
    return [line.rstrip() for line in display.display]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[1;31mred\x1b[0m plain", "red plain"),
        ("\x1b]0;title\x07text", "text"),
        (" 10%\r 50%\r100%\ndone", "100%\ndone"),
        ("loading...\rok", "okading..."),
        ("step 1\x1b[K\rstep 22\x1b[K", "step 22"),
        ("\x1b[2K\x1b[1G\x1b[2K\x1b[1Gvite\n\x1b[1G\x1b[0Kdone", "vite\ndone"),
        ("a\x1b[2K\x1b[1G\x1b[2K\x1b[1G\x1b[2K\x1b[1Gb", "a\x1b[2K\x1b[1Gb"),
        ("\x1b[?25l|\r/\r-\x1b[?25h", "-"),
    ],
)
def test_what_was_overwritten_goes(text: str, expected: str) -> None:
    assert shown(text) == expected
    assert screen(shown(text)) == screen(text)


@pytest.mark.parametrize("text", ["plain\ttext\n", "dos\r\nlines\r\n", "", "émoji 🎉\n\n  x  "])
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert shown(text) is text


@pytest.mark.parametrize(
    "text",
    [
        "long old text\r\x1b[Knew",  # a screen shows `new`, a renderer that knows no erasing `newg old text`
        "tab\there\rx",  # how far a tab goes depends on the screen
        "a\x1b[1Ab",  # moves to the line above
        "a\n\x1b[1A\x1b[2Kb",  # and erases it
    ],
)
def test_in_doubt_it_stays(text: str) -> None:
    assert shown(text) == text


PIECES = st.sampled_from(
    [
        "a",
        "word ",
        "\r",
        "\n",
        "\r\n",
        "\x1b[31m",
        "\x1b[0m",
        "\x1b[K",
        "\x1b[2K",
        "\x1b[1G",
        "\x1b[G",
        "\x1b[1A",
        "100%",
        "é",
        "→",
        "\x1b[?25l",
        "\x1b]2;t\x07",
        "\t",
    ]
)


@pytest.mark.slow
@given(st.lists(PIECES, max_size=40))
def test_a_terminal_shows_the_same(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert screen(shown(text)) == screen(text)


@given(st.lists(PIECES, max_size=40))
def test_reducing_twice_changes_nothing(pieces: list[str]) -> None:
    once = shown("".join(pieces))
    assert shown(once) == once

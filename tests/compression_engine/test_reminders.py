"""Reminders of the client stay as they are and where they are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from compression_engine.reminders import replaced, split, up_to_the_last, without

ONE = "<system-reminder>one</system-reminder>"
TWO = "<system-reminder>\ntwo\n</system-reminder>"
PIECES = st.sampled_from([ONE, TWO, "text", "\n", " ", "", "<system-reminder>", "</system-reminder>", "a\nb"])
TEXTS = st.lists(PIECES, max_size=6).map("".join)


@given(TEXTS)
def test_cut_pieces_make_the_text_and_every_second_is_a_reminder(text: str) -> None:
    pieces = split(text)
    assert "".join(pieces) == text
    assert len(pieces) % 2 == 1
    for reminder in pieces[1::2]:
        assert reminder.startswith("<system-reminder>")
        assert reminder.endswith("</system-reminder>")
        assert reminder.count("</system-reminder>") == 1


@given(TEXTS)
def test_up_to_the_last_reminder_nothing_but_reminders_is_missing(text: str) -> None:
    assert text.startswith(up_to_the_last(text))
    assert without(up_to_the_last(text)) == without(text)


def test_reminders_at_the_end_go_with_the_blank_line_in_front_of_them() -> None:
    assert up_to_the_last(f"a\nb\n\n{ONE}\n\n{TWO}") == "a\nb"
    assert up_to_the_last(f"{ONE}\na\n{TWO}\nb\n") == f"{ONE}\na\n{TWO}\nb\n"
    assert up_to_the_last(ONE) == ""


@given(TEXTS)
def test_a_replaced_text_keeps_every_reminder(text: str) -> None:
    new = replaced(text, "NEW")
    assert split(new)[1::2] == split(text)[1::2]
    assert without(new) == "NEW"


def test_what_stands_around_reminders_is_replaced_once_and_the_blanks_between_stay() -> None:
    assert replaced("old", "NEW") == "NEW"
    assert replaced("", "NEW") == "NEW"
    assert replaced(f"{ONE}\nold\n\n{TWO}\n", "NEW") == f"{ONE}\nNEW\n\n{TWO}\n"
    assert replaced(f"old\n{ONE} old again", "NEW") == f"NEW\n{ONE}"
    assert replaced(ONE, "NEW") == f"NEW{ONE}"


def test_an_opening_without_an_end_is_text() -> None:
    assert without("<system-reminder>old") == "<system-reminder>old"
    assert replaced("<system-reminder>old", "NEW") == "NEW"

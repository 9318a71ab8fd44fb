from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from web_view.printable import printable

ANY = st.text(st.characters(), max_size=20)


@given(ANY)
def test_everything_can_be_encoded_and_what_could_be_stays(text: str) -> None:
    shown = printable(text)
    shown.encode()  # raises nothing
    assert (shown == text) == (not any("\ud800" <= character <= "\udfff" for character in text))

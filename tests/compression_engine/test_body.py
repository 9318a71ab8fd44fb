from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compression_engine.body import (
    NotUnderstood,
    Splice,
    decode_string,
    elements,
    encode_string,
    members,
    splice,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
LAYOUTS = st.sampled_from([{"separators": (",", ":")}, {}, {"indent": 1}, {"indent": "\t"}])


@given(st.lists(JSON), LAYOUTS, st.booleans())
def test_elements_are_found_wherever_they_stand(
    values: list[object], layout: dict[str, object], ascii_only: bool
) -> None:
    text = json.dumps(values, ensure_ascii=ascii_only, **layout).encode("utf-8", "surrogatepass")  # type: ignore[arg-type]
    assert [json.loads(text[start:end]) for start, end in elements(text)] == values


@given(st.dictionaries(st.text(), JSON), LAYOUTS, st.booleans())
def test_members_are_found_wherever_they_stand(
    value: dict[str, object], layout: dict[str, object], ascii_only: bool
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, **layout).encode("utf-8", "surrogatepass")  # type: ignore[arg-type]
    assert {key: json.loads(text[start:end]) for key, (start, end) in members(text).items()} == value


@pytest.mark.parametrize("text", [b'{"a":1,"a":2}', b'{"a":1,"b":2,"a":3}', b'{"a":{},"\\u0061":2}'])
def test_a_key_that_stands_twice_is_not_understood(text: bytes) -> None:
    with pytest.raises(NotUnderstood):
        members(text)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"nul", b'{"a":NaN}', b'{"a":1}x', b"\xef\xbb\xbf{}", b'{"a":"\x01"}']
)
def test_what_is_no_object_is_not_understood(text: bytes) -> None:
    with pytest.raises(NotUnderstood):
        members(text)


def test_nesting_without_end_is_not_understood() -> None:
    with pytest.raises(NotUnderstood):
        elements(b"[" * 100_000)


def test_a_lone_surrogate_hides_nothing() -> None:
    text = b'{"a":"x\\ud800y","b":[1]}'
    assert {key: text[start:end] for key, (start, end) in members(text).items()} == {"a": b'"x\\ud800y"', "b": b"[1]"}


@given(st.text(st.characters(codec=None)))
def test_strings_come_back(text: str) -> None:
    token = json.dumps(text).encode()
    assert decode_string(token) == text
    assert encode_string(text, like=token) == token


@given(st.text())
def test_unescaped_stays_unescaped(text: str) -> None:
    token = json.dumps(text, ensure_ascii=False).encode()
    assert encode_string(text, like=token) == token


@pytest.mark.parametrize("token", [b'"\xff"', b"1", b'"', b'"\\x"'])
def test_what_is_no_string_is_not_understood(token: bytes) -> None:
    with pytest.raises(NotUnderstood):
        decode_string(token)


def test_splices_leave_the_rest() -> None:
    assert splice(b"0123456789", [Splice(1, 3, b"ab"), Splice(3, 3, b"-"), Splice(8, 10, b"")]) == b"0ab-34567"
    assert splice(b"0123", []) == b"0123"


def test_every_character_is_written_and_read_as_python_has_it() -> None:
    """Another library would escape others, and break every prompt cache."""
    for first in range(0, 0x110000, 0x400):
        text = "".join(map(chr, range(first, first + 0x400)))
        token = json.dumps(text, ensure_ascii=False).encode("utf-8", "backslashreplace")
        assert encode_string(text, like=b'"a"') == token
        assert decode_string(token) == text

from __future__ import annotations

import gzip
import itertools
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.content_decoding import STEP, decoder_for
from tests.billing.answers import ENCODERS

each_encoder = pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS.keys())


def decoded(encoding: str, data: bytes, places: list[int]) -> bytes:
    decode = decoder_for(encoding)
    assert decode is not None
    cuts = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    pieces = [data[start:end] for start, end in itertools.pairwise(cuts)]
    return b"".join(part for piece in (*pieces, b"") for part in decode(piece))


@given(
    text=st.binary(max_size=2000),
    encoder=st.sampled_from(list(ENCODERS.values())),
    places=st.lists(st.integers(0, 5000), max_size=20),
)
def test_what_was_encoded_comes_back_wherever_it_is_cut(
    text: bytes, encoder: tuple[str, Any], places: list[int]
) -> None:
    encoding, encode = encoder
    assert decoded(encoding, encode(text), places) == text


@each_encoder
@pytest.mark.parametrize("size", [STEP - 1, STEP, STEP + 1, 2 * STEP, 5 * STEP + 259])
def test_nothing_is_held_back_at_the_end_of_a_step(encoder: tuple[str, Any], size: int) -> None:
    encoding, encode = encoder
    text = b"a" * size
    assert decoded(encoding, encode(text), []) == text


@pytest.mark.parametrize("name", ["gzip", "deflate", "deflate without a frame", "br"])
def test_steps_are_small_whatever_comes_of_them(name: str) -> None:
    encoding, encode = ENCODERS[name]
    decode = decoder_for(encoding)
    assert decode is not None
    parts = [len(part) for part in decode(encode(bytes(3_000_000)))]
    assert sum(parts) == 3_000_000
    assert max(parts) <= 2 * STEP


def test_steps_of_zstd_are_bounded() -> None:
    decode = decoder_for("zstd")
    assert decode is not None
    parts = [len(part) for part in decode(ENCODERS["zstd"][1](bytes(100_000_000)))]
    assert sum(parts) == 100_000_000
    assert max(parts) <= 8 * 1024 * 1024


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("behind", [bytes(8), b"garbage", b"\n"])
def test_what_follows_the_end_is_passed_over(encoding: str, behind: bytes) -> None:
    packed = gzip.compress(b"text") if encoding == "gzip" else zlib.compress(b"text")
    for places in ([], list(range(99))):
        assert decoded(encoding, packed + behind, places) == b"text"


@pytest.mark.parametrize("encoding", ["gzip, br", "br,gzip", "snappy", "compress", "*", "g zip", "\xff"])
def test_unknown_and_several_encodings_have_no_decoder(encoding: str) -> None:
    assert decoder_for(encoding) is None


@pytest.mark.parametrize("encoding", ["", " ", "identity", "Identity"])
def test_what_is_not_encoded_is_not_copied(encoding: str) -> None:
    decode = decoder_for(encoding)
    assert decode is not None
    data = b"some"
    assert next(decode(data)) is data

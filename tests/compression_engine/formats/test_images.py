from __future__ import annotations

import base64
from typing import Any

import pytest

from compression_engine.formats.images import beside_images
from tests.compression_engine.bodies import dump

BEGINNINGS = {
    "png": b"\x89PNG\r\n\x1a\n",
    "jpeg": b"\xff\xd8\xff\xe0",
    "gif": b"GIF89a",
    "webp": b"RIFF\x00\x00\x00\x00WEBP",
}


def _data(beginning: bytes, size: int = 90_001) -> str:
    return base64.b64encode(beginning + bytes(size)).decode()


@pytest.mark.parametrize("kind", BEGINNINGS)
def test_an_image_counts_as_text_of_as_many_tokens_in_every_format(kind: str) -> None:
    data = _data(BEGINNINGS[kind])
    url = f"data:image/{kind};base64,{data}"
    source = {"type": "base64", "media_type": f"image/{kind}", "data": data}
    found: list[Any] = [
        {"type": "image", "source": source},
        {"type": "image", "source": dict(reversed(source.items()))},
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "input_image", "image_url": url},
    ]
    for part in found:
        assert 17_500 <= beside_images(dump({"messages": [part, part]})) / 2 <= 17_700


@pytest.mark.parametrize(
    "text",
    [
        "x" * 90_000,
        "image/png " + _data(BEGINNINGS["png"]),
        f'"{_data(BEGINNINGS["png"])}"',
        _data(BEGINNINGS["png"]) + "\n",
        _data(b"%PDF-1.7"),
        _data(BEGINNINGS["png"], 9_000),
    ],
    ids=["text", "behind text", "in quotes", "a line", "a document", "a small one"],
)
def test_everything_else_counts_as_it_is(text: str) -> None:
    body = dump({"messages": [{"role": "user", "content": text}]})
    assert beside_images(body) == len(body)

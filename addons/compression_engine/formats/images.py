"""The images in a body: a model reads them in far fewer tokens than their base64 would take as text."""

from __future__ import annotations

import re

__all__ = ["beside_images"]

# A JSON string, or the rest of one behind `data:image/…;base64,`, that begins as PNG, JPEG, GIF or WebP do in base64.
# What a tool printed stands in it in this form only if it printed nothing else.
_IMAGE = re.compile(rb'[",](?:iVBORw0KGgo|/9j/|R0lGOD|UklGR)[A-Za-z0-9+/]{1000,}+=*+"')

# An image takes a token for about 750 pixels, and has up to 3.75 million of them, beyond which it is scaled down: 5,000
# tokens at most. Older models take a third of that. Source: Anthropic's page on vision.
_BYTES_OF_ONE = 17_500


def beside_images(body: bytes) -> int:
    """How many bytes `body` would have, were each image as long as text of as many tokens."""
    images = (found.end() - found.start() for found in _IMAGE.finditer(body))
    return len(body) - sum(max(0, size - _BYTES_OF_ONE) for size in images)

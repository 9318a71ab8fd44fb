"""Text that can be shown, whatever a body held."""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str) -> str:
    r"""`text` with lone surrogates as `\ud800`: JSON may hold them, and mitmproxy's console cannot show them."""
    return text.encode(errors="backslashreplace").decode()

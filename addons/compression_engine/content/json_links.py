"""Addresses that begin with the `url` of their object: `{url=https://h/users/ann,repos_url=^/repos}`.

An object without a `url` has that of the object around it; a `url` itself may begin with that one.
"""

from __future__ import annotations

from compression_engine.content.json_document import Object, Value

__all__ = ["MARK", "TooManyError", "expand", "shorten"]

# In front of a string: it begins with the `url`. No JSON begins so.
MARK = "^"

_KEY = '"url"'
_LEAST = len('"https://')
_BOUNDARIES = "/?#{\\"
# A forged view could ask for more. In values and characters.
_MOST = 4_000_000


class TooManyError(Exception):
    """There is more to expand than any text holds."""


def shorten(value: Value, base: str = "") -> Value:
    """`value` with the strings that begin with their `url`, up to where a part of an address ends, marked and cut."""
    if isinstance(value, str):
        if base and value.startswith(base):
            rest = value[len(base) :]
            if rest == '"' or rest[0] in _BOUNDARIES:
                return f'{MARK}"{rest}'
        return value
    if isinstance(value, list):
        return [one if isinstance(one, str) and not base else shorten(one, base) for one in value]
    inner = (_own(value.values[value.keys.index(_KEY)]) if _KEY in value.keys else "") or base
    if not inner:
        return Object(value.keys, [one if isinstance(one, str) else shorten(one) for one in value.values])
    return Object(
        value.keys,
        [shorten(one, base if key == _KEY else inner) for key, one in zip(value.keys, value.values, strict=True)],
    )


def expand(value: Value) -> Value:
    """The value that `shorten` was given. Raises TooManyError."""
    return _Expansion().expand(value, "")


def _own(value: Value) -> str:
    """What the addresses inside an object with this `url` begin with, if it is one."""
    return value[:-1] if isinstance(value, str) and value[0] == '"' and len(value) >= _LEAST else ""


class _Expansion:
    def __init__(self) -> None:
        self._made = 0

    def expand(self, value: Value, base: str) -> Value:
        self._made += 1
        if self._made > _MOST:
            raise TooManyError
        if isinstance(value, str):
            if value[0] != MARK:
                return value
            self._made += len(base)
            return base + value[len(MARK) + 1 :]
        if isinstance(value, list):
            return [self.expand(one, base) for one in value]
        inner = base
        if _KEY in value.keys and isinstance(own := value.values[value.keys.index(_KEY)], str):
            inner = _own(self.expand(own, base)) or base
        return Object(
            value.keys,
            [
                self.expand(one, base if key == _KEY else inner)
                for key, one in zip(value.keys, value.values, strict=True)
            ],
        )

"""An entry as a row of the ledger, and back."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from billing.entry import Change, Ending, Entry
from billing.usage import Usage

__all__ = ["COLUMNS", "entry_of", "row_of"]

_LONGEST_TEXT = 100
_MOST = 2**62  # what SQLite holds, with room to add
_USAGE = ("uncached", "cache_read", "cache_write_5m", "cache_write_1h", "output")
_PLAIN = (
    *("at", "conversation", "follows", "session", "deployment", "model", "endpoint", "mode", "holdout", "outcome"),
    *("status", "ending", "bytes_before", "bytes_after", "added_ms", "gap", "is_cold", "moved", "prefix_kept"),
    *("set_aside", "recalled", "results", "errors", "rereads", "counted"),
)
_BOOLEANS = frozenset({"holdout", "is_cold", "moved", "prefix_kept"})
COLUMNS = (*_PLAIN, "changes", *_USAGE)
"""The columns of the table `requests` in the order in which rows have them, without its key."""

# What SQLite hands out where `row_of` wrote. It lets any value stand in any column.
_TEXT, _WHOLE, _REAL = frozenset({str}), frozenset({int}), frozenset({int, float})
_NONE = frozenset({type(None)})
_KIND_OF = (
    dict.fromkeys(COLUMNS, _WHOLE)
    | dict.fromkeys(
        ("conversation", "follows", "session", "deployment", "model", "endpoint", "mode", "outcome", "ending"), _TEXT
    )
    | {"at": _REAL, "added_ms": _REAL, "gap": _REAL | _NONE, "changes": _TEXT}
    | dict.fromkeys(_USAGE, _WHOLE | _NONE)
)
_KINDS = tuple(_KIND_OF[name] for name in COLUMNS)
_CHANGE = (_TEXT, _TEXT, _WHOLE, _WHOLE, _WHOLE)


def row_of(entry: Entry) -> tuple[object, ...]:
    """The row for an entry. Names come from outside: they are cut short, and hold nothing that does not print."""
    changes = [
        [_clean(one.tool), _clean(one.kind), one.results, one.tokens_before, one.tokens_after] for one in entry.changes
    ]
    usage = entry.usage
    return (
        *(_clean(getattr(entry, name)) for name in _PLAIN),
        json.dumps(changes, separators=(",", ":")),
        *(None if usage is None else _clean(getattr(usage, name)) for name in _USAGE),
    )


def entry_of(row: Sequence[Any]) -> Entry:
    """The entry in a row. Raises ValueError for one that was not written by `row_of`."""
    if len(row) != len(COLUMNS) or not all(map(_is_of, row, _KINDS)):
        raise ValueError("not the values that the columns have")
    plain = dict(zip(_PLAIN, row, strict=False))
    plain |= {name: bool(plain[name]) for name in _BOOLEANS}
    plain["ending"] = Ending(plain["ending"])
    changes, *usage = row[len(_PLAIN) :]
    if None in usage and any(part is not None for part in usage):
        raise ValueError("a part of what was billed")
    return Entry(
        **plain,
        changes=tuple(map(_change_of, _changes_of(changes))),
        usage=None if usage[0] is None else Usage(*usage),
    )


def _changes_of(text: str) -> list[Any]:
    try:
        changes = json.loads(text)
    except RecursionError:
        raise ValueError("lists in lists") from None
    if not isinstance(changes, list):
        raise ValueError("no list of changes")  # noqa: TRY004 - it is the value of a column
    return changes


def _change_of(change: Any) -> Change:
    if not isinstance(change, list) or len(change) != len(_CHANGE) or not all(map(_is_of, change, _CHANGE)):
        raise ValueError("no change")
    return Change(*change)


def _is_of(value: Any, kind: frozenset[type]) -> bool:
    return type(value) in kind and (type(value) is not float or math.isfinite(value))


def _clean(value: object) -> object:
    if isinstance(value, str):
        kept = value[:_LONGEST_TEXT]
        return kept if kept.isprintable() else "".join(one if one.isprintable() else "?" for one in kept)
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return max(-_MOST, min(_MOST, value))
    if isinstance(value, float) and not math.isfinite(value):
        return 0.0
    return value

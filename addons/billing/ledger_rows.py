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
    """The entry in a row. Raises ValueError or TypeError for one that was not written by `row_of`."""
    plain = dict(zip(_PLAIN, row, strict=False))
    plain |= {name: bool(plain[name]) for name in _BOOLEANS}
    plain["ending"] = Ending(plain["ending"])
    changes, *usage = row[len(_PLAIN) :]
    return Entry(
        **plain,
        changes=tuple(Change(*change) for change in json.loads(changes)),
        usage=None if usage[0] is None else Usage(*usage),
    )


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

"""Entries for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from billing.entry import Change, Ending, Entry
from billing.usage import Usage

__all__ = ["ENTRIES", "entry"]

_PLAIN = Entry(
    at=1000.0,
    conversation="talk",
    follows="",
    session="",
    deployment="claude-made-up",
    model="",
    endpoint="messages",
    mode="balanced",
    holdout=False,
    outcome="rewritten",
    status=200,
    ending=Ending.COMPLETE,
    bytes_before=100,
    bytes_after=60,
    added_ms=1.5,
)


def entry(at: float = 1000.0, **fields: Any) -> Entry:
    """An entry with these fields; `removed` stands for one change that removes so many tokens."""
    removed = fields.pop("removed", None)
    if removed is not None:
        fields["changes"] = (Change("Read", "numbered", 1, removed + 10, 10),)
    return replace(_PLAIN, at=at, **fields)


_COUNTS = st.integers(0, 10**9)
_NAMES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
_USAGE = st.builds(Usage, _COUNTS, _COUNTS, _COUNTS, _COUNTS, _COUNTS)

ENTRIES = st.builds(
    Entry,
    at=st.floats(0, 4e9),
    conversation=_NAMES,
    follows=_NAMES,
    session=_NAMES,
    deployment=_NAMES,
    model=_NAMES,
    endpoint=_NAMES,
    mode=_NAMES,
    holdout=st.booleans(),
    outcome=_NAMES,
    status=st.integers(0, 599),
    ending=st.sampled_from(Ending),
    bytes_before=_COUNTS,
    bytes_after=_COUNTS,
    added_ms=st.floats(0, 1e6),
    gap=st.none() | st.floats(0, 1e9),
    is_cold=st.booleans(),
    moved=st.booleans(),
    prefix_kept=st.booleans(),
    set_aside=_COUNTS,
    recalled=_COUNTS,
    results=_COUNTS,
    errors=_COUNTS,
    rereads=_COUNTS,
    counted=_COUNTS,
    changes=st.lists(st.builds(Change, _NAMES, _NAMES, _COUNTS, _COUNTS, _COUNTS), max_size=3).map(tuple),
    usage=st.none() | _USAGE,
)

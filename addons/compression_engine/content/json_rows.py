"""Which objects are alike, and what of them need be written only once: their keys, and the values that all share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from compression_engine.content.json_document import Object, Value

__all__ = ["Column", "Kind", "Table", "tabulate"]

# So many kinds of objects may be rows of one table, and so many columns may it have; others stand beside.
_MOST_KINDS = 40
_MOST_COLUMNS = 300
_LEAST_ROWS = 2
# What a table costs besides its keys, in characters.
_TABLE_COST = 6

type Kind = Literal["plain", "constant", "flat", "nested", "list"]


class Column(NamedTuple):
    """The values under one key: `flat` are objects, always; `nested` objects or others, `list` arrays of objects."""

    key: str
    kind: Kind
    constant: Value | None = None
    table: Table | None = None


class Table(NamedTuple):
    """Columns, and the keys that an object has to have, in this order, to be a row."""

    columns: list[Column]
    fitting: frozenset[tuple[str, ...]]

    def fits(self, value: Value) -> bool:
        """Whether `value` can be a row."""
        return isinstance(value, Object) and tuple(value.keys) in self.fitting


def tabulate(objects: Sequence[Object], *, whole: bool = False) -> Table | None:
    """The table of which the objects, or most of them (all, if `whole`), are rows; None where it is not worth it."""
    kinds: dict[tuple[str, ...], list[Object]] = {}
    for one in objects:
        kinds.setdefault(tuple(one.keys), []).append(one)
    order, fitting = _merge(kinds)
    if not order or (whole and len(fitting) < len(kinds)):
        return None
    saved = gaps = count = 0
    values: dict[str, list[Value]] = {key: [] for key in order}
    for kind in fitting:
        alike = kinds[kind]
        count += len(alike)
        saved += (sum(map(len, kind)) - len(kind)) * len(alike)
        gaps += (len(order) - len(kind)) * len(alike)
        for key, column in zip(kind, zip(*(one.values for one in alike), strict=True), strict=True):
            values[key] += column
    if count < _LEAST_ROWS or saved <= sum(map(len, order)) + gaps + _TABLE_COST:
        return None
    columns = [_column(key, column, always=len(column) == count) for key, column in values.items()]
    return Table(columns, frozenset(fitting))


def _merge(kinds: dict[tuple[str, ...], list[Object]]) -> tuple[list[str], list[tuple[str, ...]]]:
    """One order of keys, and the kinds whose keys are in that order."""
    order: list[str] = []
    fitting = []
    for kind in sorted(kinds, key=len, reverse=True)[:_MOST_KINDS]:
        if not kind or len(set(kind)) < len(kind):
            continue
        places = {key: place for place, key in enumerate(order)}
        known = [places[key] for key in kind if key in places]
        if known != sorted(known) or len(order) + len(kind) - len(known) > _MOST_COLUMNS:
            continue
        merged: list[str] = []
        at = 0
        for key in kind:
            if key in places:
                merged += order[at : places[key]]
                at = places[key] + 1
            merged.append(key)
        order = merged + order[at:]
        fitting.append(kind)
    return order, fitting


def _column(key: str, values: Sequence[Value], *, always: bool) -> Column:
    first = values[0]
    if always and all(value == first for value in values):
        return Column(key, "constant", constant=first)
    objects = [value for value in values if isinstance(value, Object)]
    if objects:
        if always and len(objects) == len(values) and (table := tabulate(objects, whole=True)):
            return Column(key, "flat", table=table)
        if table := tabulate(objects):
            return Column(key, "nested", table=table)
        return Column(key, "plain")
    elements = [one for value in values if isinstance(value, list) for one in value if isinstance(one, Object)]
    if elements and (table := tabulate(elements)):
        return Column(key, "list", table=table)
    return Column(key, "plain")

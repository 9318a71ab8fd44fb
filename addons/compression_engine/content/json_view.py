"""JSON in fewer tokens, for a reader that knows JSON: no quotes where none are needed, objects that are alike as rows.

    {name=web,replicas=2,labels={app=shop,tier="2"},ports=[rows port,name,protocol=TCP
    80,http
    443,https]}

Members are `key=value`. A string stands without quotes unless it could be taken for something else; every other scalar
is written as it was. After `[rows` stand the columns, then each object is a row of its values in their order; nothing
between two commas, or a row that ends early, means that the object has no such key. A column `key=value` is the same
in all rows and does not stand in them. `key{a,b}` is an object whose values take a cell each; `key?{a,b}` is one cell:
`{1,2}`, or behind a `+` anything else; `key[a,b]` is one cell, an array of such objects: `[1,2;3,4]`. What stands
behind a `~` is no row but a value of its own. `{rows` is the same for the values of an object; each row begins with its
key. A string behind a `^` begins with the `url` of its object, which is not repeated. A `…` stands where the text ends
before the brackets are closed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NoReturn

from compression_engine.content import json_links
from compression_engine.content.json_document import MOST_DEEP, NUMBER_OR_WORD, STRING, Object, Value
from compression_engine.content.json_links import MARK
from compression_engine.content.json_rows import Column, Kind, Table, tabulate

__all__ = ["END", "read", "write"]

END = "…"

# What is longer stands on several lines. In characters.
_LINE = 100

_FREE = r'[^,;=\[\]{}"\\\x00-\x1f\x7f…\s+~?^][^,;\[\]{}"\\\x00-\x1f\x7f…%s]*+'
_WORD = re.compile(_FREE % "")
_KEY_WORD = re.compile(_FREE % "=?")
_STRING = re.compile(STRING)
_NUMBERS = re.compile(rf"\[(?:{NUMBER_OR_WORD})(?:[,\n](?:{NUMBER_OR_WORD}))*+\]")
_EXACT = re.compile(NUMBER_OR_WORD)
# Strings that stay in quotes: what reads like a number, or like the beginning of rows.
_AMBIGUOUS = re.compile(rf"{NUMBER_OR_WORD}|-?[0-9]*\.?[0-9]*|rows .*")
# A forged view cannot make more cells than this.
_MOST_CELLS = 3_000_000


def write(value: Value, opened: int = 0) -> str:
    """The view of `value`, of which the last `opened` levels of brackets are not closed."""
    return _write(json_links.shorten(value), opened) + (END if opened else "")


def read(view: str, at: int) -> tuple[Value, int, int] | None:
    """The value whose view starts at `at`, how many of its brackets are open, and where it ends; None if it is none."""
    reader = _Reader(view, at)
    try:
        value = reader.value(0)
        if reader.links:
            value = json_links.expand(value)
    except (_MalformedError, json_links.TooManyError, IndexError):
        return None
    if reader.opened:
        reader.at += 1
    return value, reader.opened, reader.at


def _write(value: Value, opened: int = 0, *, inline: bool = False) -> str:
    if isinstance(value, str):
        return _numbers(value, inline=inline) if value[0] == "[" else _scalar(value)
    members = value.values if isinstance(value, Object) else value
    # What is still open may have more members than we see: it is no row.
    complete = len(members) - (opened > 1)
    objects = [one for one in members[:complete] if isinstance(one, Object)]
    table = tabulate(objects) if len(objects) > 1 else None
    if table:
        texts = [_row_or_value(one, table, inline=inline) for one in members[:complete]]
        texts += ["~" + _write(one, opened - 1, inline=inline) for one in members[complete:]]
    else:
        texts = [
            _scalar(one) if isinstance(one, str) and len(one) <= _LINE else _write(one, inline=inline)
            for one in members[:complete]
        ]
        texts += [_write(one, opened - 1, inline=inline) for one in members[complete:]]
    start, end = "[", "]"
    if isinstance(value, Object):
        start, end = "{", "}"
        texts = [f"{_key(key)}={text}" for key, text in zip(value.keys, texts, strict=True)]
    between = ";" if table else ","
    if table:
        texts.insert(0, f"rows {_head(table.columns)}")
    if not inline and (table or sum(map(len, texts)) > _LINE):
        between = "\n"
    return f"{start}{between.join(texts)}{'' if opened else end}"


def _numbers(token: str, *, inline: bool) -> str:
    """An array of numbers; `_write` measures its members without what stands between them."""
    if inline or len(token) <= _LINE or len(token) - 2 - token.count(",") <= _LINE:
        return token
    return token.replace(",", "\n")


def _scalar(token: str) -> str:
    if token[0] == MARK:
        text = token[2:-1]
        return MARK + (text if not text or (_WORD.fullmatch(text) and text[-1] != " ") else token[1:])
    if token[0] != '"':
        return token
    text = token[1:-1]
    return text if _WORD.fullmatch(text) and not _AMBIGUOUS.fullmatch(text) and text[-1] != " " else token


def _key(token: str) -> str:
    text = token[1:-1]
    return text if _KEY_WORD.fullmatch(text) and not text.startswith("rows ") else token


def _head(columns: Sequence[Column]) -> str:
    return ",".join(map(_column, columns))


def _column(column: Column) -> str:
    key = _key(column.key)
    if column.constant is not None:
        return f"{key}={_write(column.constant, inline=True)}"
    if column.table is None:
        return key
    head = _head(column.table.columns)
    return f"{key}[{head}]" if column.kind == "list" else f"{key}{'?' if column.kind == 'nested' else ''}{{{head}}}"


def _row_or_value(value: Value, table: Table, *, inline: bool = True) -> str:
    return _row(value, table) if isinstance(value, Object) and table.fits(value) else "~" + _write(value, inline=inline)


def _row(row: Object, table: Table) -> str:
    cells: list[str] = []
    _add_cells(row, table, cells)
    while cells and not cells[-1]:
        cells.pop()
    return ",".join(cells)


def _add_cells(row: Object, table: Table, cells: list[str]) -> None:
    members = dict(zip(row.keys, row.values, strict=True))
    for column in table.columns:
        if column.kind == "constant":
            continue
        value = members.get(column.key)
        if value is None:
            cells.append("")
        elif column.table is None:
            cells.append(_write(value, inline=True))
        elif column.kind == "flat" and isinstance(value, Object):
            _add_cells(value, column.table, cells)
        else:
            cells.append(_cell(value, column.kind, column.table))


def _cell(value: Value, kind: Kind, table: Table) -> str:
    """A value under a column that has columns of its own."""
    if kind == "nested" and isinstance(value, Object) and table.fits(value):
        return f"{{{_row(value, table)}}}"
    if kind == "list" and isinstance(value, list):
        rows = [_row_or_value(one, table) for one in value]
        return f"[{';'.join(rows)}]" if rows != [""] else f"[~{_write(value[0], inline=True)}]"
    return "+" + _write(value, inline=True)


class _MalformedError(Exception):
    pass


class _Reader:
    """Reads a view. Raises _MalformedError or IndexError where it is none."""

    def __init__(self, view: str, at: int) -> None:
        self.view = view
        self.at = at
        self.opened = 0
        self.links = False
        self._cells = 0

    def value(self, depth: int) -> Value:
        view = self.view
        first = view[self.at]
        if first == "[":
            numbers = _NUMBERS.match(view, self.at)
            if numbers:
                self.at = numbers.end()
                return numbers[0].replace("\n", ",")
            return self._array(depth)
        if first == "{":
            return self._object(depth)
        if first == '"':
            return self._match(_STRING)
        if first == MARK:
            return MARK + self._rest_of_link()
        word = self._match(_WORD)
        return word if _EXACT.fullmatch(word) else f'"{word}"'

    def _rest_of_link(self) -> str:
        self.links = True
        self.at += 1
        if self.view[self.at : self.at + 1] == '"':
            return self._match(_STRING)
        word = _WORD.match(self.view, self.at)
        self.at = word.end() if word else self.at
        return f'"{word[0] if word else ""}"'

    def _array(self, depth: int) -> list[Value]:
        self._enter(depth)
        values: list[Value] = []
        table = self._rows(depth)
        between = ",\n"
        if table is not None:
            between = ";\n"
        elif self._ends("]"):
            return values
        while True:
            values.append(self.value(depth + 1) if table is None else self._row_or_value(table, depth + 1))
            if self._ends("]"):
                return values
            self._expect(between)

    def _object(self, depth: int) -> Object:
        self._enter(depth)
        members = Object([], [])
        table = self._rows(depth)
        between = ",\n"
        if table is not None:
            between = ";\n"
        elif self._ends("}"):
            return members
        while True:
            members.keys.append(self._key())
            self._expect("=")
            members.values.append(self.value(depth + 1) if table is None else self._row_or_value(table, depth + 1))
            if self._ends("}"):
                return members
            self._expect(between)

    def _rows(self, depth: int) -> list[Column] | None:
        """The columns, if rows follow the bracket."""
        if not self.view.startswith("rows ", self.at):
            return None
        self.at += 5
        columns = self._columns(depth + 1)
        self._expect("\n;")
        return columns

    def _columns(self, depth: int) -> list[Column]:
        self._check(depth)
        columns = []
        while True:
            key = self._key()
            mark = self.view[self.at]
            if mark == "=":
                self.at += 1
                columns.append(Column(key, "constant", constant=self.value(depth)))
            elif mark in "?{[":
                kind: Kind = "nested" if mark == "?" else "flat" if mark == "{" else "list"
                self.at += 2 if mark == "?" else 1
                table = Table(self._columns(depth + 1), frozenset())
                self._expect("]" if mark == "[" else "}")
                columns.append(Column(key, kind, table=table))
            else:
                columns.append(Column(key, "plain"))
            if self.view[self.at] != ",":
                return columns
            self.at += 1

    def _row_or_value(self, columns: list[Column], depth: int) -> Value:
        if self.view[self.at] == "~":
            self.at += 1
            return self.value(depth)
        row = Object([], [])
        self._row(columns, row, depth, first=True)
        return row

    def _row(self, columns: list[Column], row: Object, depth: int, *, first: bool) -> bool:
        """Adds the members of a row; a cell that is not the first stands behind a comma."""
        self._check(depth)
        self._cells += len(columns)
        if self._cells > _MOST_CELLS:
            raise _MalformedError
        view = self.view
        for column in columns:
            if column.kind == "constant":
                row.keys.append(column.key)
                row.values.append(column.constant if column.constant is not None else "")
                continue
            if column.kind == "flat" and column.table:
                inner = Object([], [])
                first = self._row(column.table.columns, inner, depth + 1, first=first)
                row.keys.append(column.key)
                row.values.append(inner)
                continue
            if not first:
                if view[self.at] != ",":
                    continue
                self.at += 1
            first = False
            if view[self.at] in ",;\n]}…":
                continue
            row.keys.append(column.key)
            row.values.append(self._cell(column, depth + 1))
        return first

    def _cell(self, column: Column, depth: int) -> Value:
        if column.table is None:
            return self.value(depth)
        mark = self.view[self.at]
        self.at += 1
        if mark == "+":
            return self.value(depth)
        if column.kind == "nested" and mark == "{":
            row = Object([], [])
            self._row(column.table.columns, row, depth, first=True)
            self._expect("}")
            return row
        if column.kind != "list" or mark != "[":
            raise _MalformedError
        values: list[Value] = []
        if self._ends("]"):
            return values
        while True:
            values.append(self._row_or_value(column.table.columns, depth + 1))
            if self._ends("]"):
                return values
            self._expect(";")

    def _key(self) -> str:
        return self._match(_STRING) if self.view[self.at] == '"' else f'"{self._match(_KEY_WORD)}"'

    def _ends(self, bracket: str) -> bool:
        """Whether the container ends here, closed or open."""
        mark = self.view[self.at]
        if mark == bracket:
            self.at += 1
        elif mark == END:
            self.opened += 1
        else:
            return False
        return True

    def _expect(self, marks: str) -> None:
        if self.view[self.at] not in marks:
            self._fail()
        self.at += 1

    def _enter(self, depth: int) -> None:
        self._check(depth)
        self.at += 1

    def _check(self, depth: int) -> None:
        if depth > MOST_DEEP + 1:
            self._fail()

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.view, self.at)
        if not found:
            self._fail()
        self.at = found.end()
        return found[0]

    def _fail(self) -> NoReturn:
        raise _MalformedError

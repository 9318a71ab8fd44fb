"""Looks for words in everything that a folder holds, in whatever form a program may have left them there."""

from __future__ import annotations

import base64
import contextlib
import gzip
import sqlite3
import tempfile
import urllib.parse
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

__all__ = ["traces"]

_SQLITE = b"SQLite format 3\0"


def traces(folder: Path, words: Iterable[str]) -> list[str]:
    """Where in the files and names of files below `folder` one of `words` stands: `file: word (form)`, sorted.

    Looked at are the bytes of every file, and what is packed in them as a whole or in the cells of an SQLite database,
    which may be in use. Upper and lower case are the same. Fails if there is nothing to look at.
    """
    forms = [(word, form, needle.lower()) for word in words for form, needle in _forms(word)]
    assert forms
    contents = {}
    for path in sorted(folder.rglob("*"), reverse=True):  # a database's log before it, lest it is folded in meanwhile
        with contextlib.suppress(FileNotFoundError):  # gone since, as the side files of a database that was closed
            if path.is_file() and not path.is_symlink():
                contents[str(path.relative_to(folder))] = path.read_bytes()
    assert contents, f"there is nothing in {folder}"
    return sorted(
        {
            f"{name}: {word} ({form}{place})"
            for name in contents
            for place, data in _readings(name, contents)
            for word, form, needle in forms
            if needle in data.lower()
        }
    )


def _forms(word: str) -> Iterator[tuple[str, bytes]]:
    plain = word.encode()
    yield "plain", plain
    yield "reversed", plain[::-1]
    yield "UTF-16", word.encode("utf-16-le")
    yield "hexadecimal", plain.hex().encode()
    for shift in range(
        3
    ):  # where a word begins in what is encoded decides how it looks; its ends mix with what is there
        inner = base64.b64encode(b"\0" * shift + plain)[4 if shift else 0 :]
        whole = len(inner) // 4 * 4 - 4
        yield "base64", inner[:whole]
        yield "base64", inner[:whole].replace(b"+", b"-").replace(b"/", b"_")
    if (quoted := urllib.parse.quote(word, safe="")) != word:
        yield "quoted", quoted.encode()


def _readings(name: str, contents: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    data = contents[name]
    yield ", in its name", name.encode("utf-8", "surrogateescape")
    yield "", data
    yield from ((", packed", unpacked) for unpacked in _unpacked(data))
    if data.startswith(_SQLITE):
        for cell in _cells(data, contents.get(f"{name}-wal", b"")):
            yield ", in a cell", cell
            yield from ((", packed in a cell", unpacked) for unpacked in _unpacked(cell))


def _unpacked(data: bytes) -> Iterator[bytes]:
    with contextlib.suppress(OSError, EOFError, zlib.error):
        yield gzip.decompress(data)
    with contextlib.suppress(zlib.error):
        yield zlib.decompress(data)


def _cells(database: bytes, log: bytes) -> list[bytes]:
    """What stands in all tables. A copy is read: to open the file itself could change it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "copy"
        file.write_bytes(database)
        if log:
            file.with_name("copy-wal").write_bytes(log)
        # A copy that was made in the middle of a change may be of no use; the one of a database at rest is.
        in_use = contextlib.suppress(sqlite3.DatabaseError) if log else contextlib.nullcontext()
        with in_use, contextlib.closing(sqlite3.connect(file)) as connection:
            connection.text_factory = bytes
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return [
                cell if isinstance(cell, bytes) else str(cell).encode()
                for table in tables
                for row in connection.execute(f'SELECT * FROM "{table.decode()}"')
                for cell in row
            ]
    return []

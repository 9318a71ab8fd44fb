"""That the search behind `test_nothing_leaks.py` finds what is there."""

from __future__ import annotations

import base64
import gzip
import json
import sqlite3
import zlib
from pathlib import Path

import pytest

from tests.e2e.traces import traces

WORD = "plantedwordxq"
OTHER = "otherwordzv"


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (WORD.encode(), "plain"),
        (b"\0\xff" + WORD.upper().encode() + b"\0", "plain"),
        (json.dumps({"a": f"é{WORD}\n"}).encode(), "plain"),
        (WORD.encode("utf-16-le"), "UTF-16"),
        (WORD[::-1].encode(), "reversed"),
        (WORD.encode().hex().encode(), "hexadecimal"),
        (base64.b64encode(WORD.encode()), "base64"),
        (base64.b64encode(b"a" + WORD.encode() + b"bc"), "base64"),
        (base64.b64encode(b"ab" + WORD.encode() + b"c"), "base64"),
        (base64.urlsafe_b64encode(b"abc" + WORD.encode()), "base64"),
        (gzip.compress(b"x" + WORD.encode(), mtime=0), "plain, packed"),
        (zlib.compress(b"x" + WORD.encode()), "plain, packed"),
    ],
)
def test_a_word_in_a_file_is_found_in_whatever_form(data: bytes, form: str, tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "clean").write_bytes(b"nothing" + data[1:5])
    assert traces(tmp_path, [WORD, OTHER]) == []
    (tmp_path / "deep" / "er" / ".file").write_bytes(data)
    assert traces(tmp_path, [WORD, OTHER]) == [f"deep/er/.file: {WORD} ({form})"]
    assert traces(tmp_path, [OTHER]) == []


def test_words_with_signs_are_found_quoted(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a%20planted%2Fword")
    assert traces(tmp_path, ["a planted/word"]) == ["file: a planted/word (quoted)"]


def test_a_name_of_a_file_or_folder_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / f"x{WORD}").mkdir()
    (tmp_path / f"x{WORD}" / "file").touch()
    assert traces(tmp_path, [WORD]) == [f"x{WORD}/file: {WORD} (plain, in its name)"]


@pytest.mark.parametrize("cell", [f"x{WORD}", WORD.encode(), zlib.compress(WORD.encode())])
def test_cells_of_a_database_are_looked_at_even_before_they_leave_the_log(cell: object, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "x.sqlite3", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute('CREATE TABLE "some table" (a, b)')
    connection.execute('INSERT INTO "some table" VALUES (1, NULL), (2, ?)', (cell,))
    found = traces(tmp_path, [WORD])
    connection.close()
    assert any(line.startswith("x.sqlite3: ") and "in a cell" in line for line in found)
    assert any(line.startswith("x.sqlite3-wal: ") for line in found) is not (cell == zlib.compress(WORD.encode()))


def test_an_empty_folder_is_no_proof_of_anything(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="there is nothing in"):
        traces(tmp_path, [WORD])
    (tmp_path / "file").touch()
    with pytest.raises(AssertionError):
        traces(tmp_path, [])

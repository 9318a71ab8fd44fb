from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from sqlite_files import identity, make_private, transaction


def test_a_file_and_its_folder_are_its_users_alone(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    make_private(path)
    make_private(path)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_another_file_has_another_identity(tmp_path: Path) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    assert identity(path) is None
    path.touch()
    first = identity(path)
    other.touch()
    other.rename(path)
    assert None is not first != identity(path) is not None


def test_a_transaction_is_whole_or_not_at_all() -> None:
    connection = sqlite3.connect(":memory:", autocommit=True)
    connection.execute("CREATE TABLE one (two)")
    with transaction(connection):
        connection.execute("INSERT INTO one VALUES (1)")
    with pytest.raises(sqlite3.OperationalError), transaction(connection):
        connection.executescript("INSERT INTO one VALUES (2); INSERT INTO none VALUES (3)")
    assert connection.execute("SELECT two FROM one").fetchall() == [(1,)]
    connection.close()

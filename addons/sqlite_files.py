"""What all SQLite files of this project have in common: whose they are, which one is open, and one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["identity", "make_private", "transaction"]


def make_private(path: Path) -> None:
    """See to it that there is a file at `path` that only its user can read, in a folder of the same kind."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)  # SQLite gives the files that it puts beside it the same mode


def identity(path: Path) -> tuple[int, int] | None:
    """Which file is at `path`: another has another identity. None if there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction; it takes the lock at its start, so that it cannot fail for coming second."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk ends it
            connection.execute("ROLLBACK")
        raise

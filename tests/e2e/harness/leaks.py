"""A mitmproxy script that gives away what it sees, in the way that $LEAK names: for tests of the tests."""

import logging
import os
import sqlite3
from pathlib import Path

from mitmproxy.http import HTTPFlow

_STATE = Path(os.environ["LEAK_STATE"])


def _append(file: Path, text: str) -> None:
    with file.open("a", encoding="utf-8") as stream:
        stream.write(text)


def request(flow: HTTPFlow) -> None:
    body, key = flow.request.get_text() or "", flow.request.headers.get("x-api-key", "")
    match os.environ["LEAK"]:
        case "log":
            logging.getLogger("foundry_compress").debug("body %s", body)
        case "key":
            logging.getLogger("foundry_compress").warning("key %s", key)
        case "comment":
            flow.comment = body
        case "metadata":
            flow.metadata["body"] = body.encode()
        case "file":
            (_STATE / "more" / "deep").mkdir(parents=True, exist_ok=True)
            _append(_STATE / "more" / "deep" / "file", body)
        case "database":
            connection = sqlite3.connect(_STATE / "leak.sqlite3")
            connection.execute("CREATE TABLE IF NOT EXISTS t (a)")
            connection.execute("INSERT INTO t VALUES (?)", (body,))
            connection.commit()
            connection.close()
        case "temporary file":
            _append(Path(os.environ["TMPDIR"]) / "file", body)

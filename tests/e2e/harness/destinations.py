"""A mitmproxy script that writes down where its process connects to, and what names it looks up: in $DESTINATIONS."""

import os
import sys
from pathlib import Path
from typing import Any

_FILE = Path(os.environ["DESTINATIONS"])


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        where = "{}:{}".format(*arguments[1][:2])
    elif event == "socket.getaddrinfo":
        where = "{}:{}".format(*arguments[:2])
    else:
        return
    with _FILE.open("a") as file:
        file.write(f"{where}\n")


_FILE.touch()
sys.addaudithook(_note)

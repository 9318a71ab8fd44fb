"""The address of a Redis server in which what is remembered of conversations lies."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

__all__ = ["ALLOWED", "StateUrl", "read_state_url"]

ALLOWED = (
    "redis://HOST:PORT/DB, rediss://HOST:PORT/DB, unix:///SOCKET?db=DB, or @FILE for a file that holds one of them"
)
"""What may be given, in words."""

_FILE_MARK = "@"
_DEFAULT_PORT = 6379
# Parameters that the server's client may be told, by scheme; none that takes its checks or its limits away.
_PARAMETERS = {
    "redis": set[str](),
    "rediss": {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"},
    "unix": {"db"},
}


@dataclass(frozen=True, slots=True)
class StateUrl:
    """Where the server is. Shown, it has no password, no user and no parameters.

    `value` is all of it, for the server's client alone; `host` and `port` are None for a socket in the file system.
    """

    value: str = field(repr=False)
    shown: str
    host: str | None
    port: int | None

    def __str__(self) -> str:
        """What may be shown."""
        return self.shown


def read_state_url(given: str) -> StateUrl | None:
    """The address that `given` names, itself or in a file (`@FILE`); None where nothing is given.

    Raises ValueError, with a line that quotes nothing but the file's name: a password may stand in the rest.
    """
    value = given.strip()
    if value.startswith(_FILE_MARK):
        value = _content(Path(value.removeprefix(_FILE_MARK)).expanduser())
    if not value:
        return None
    url = _url(value)
    if url is None:
        raise ValueError(f"that is not possible; allowed are {ALLOWED}")
    return url


def _url(value: str) -> StateUrl | None:
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port or _DEFAULT_PORT
        parameters = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError:
        return None
    if parameters.keys() - _PARAMETERS.get(parts.scheme, set()) or not parameters.get("db", "0").isdecimal():
        return None
    path = parts.path.rstrip("/")
    if parts.scheme == "unix":
        return StateUrl(value, f"unix://{path}", None, None) if path and not host else None
    if parts.scheme not in _PARAMETERS or not host or not (path[1:].isdecimal() or not path):
        return None
    shown = f"[{host}]" if ":" in host else host
    return StateUrl(value, f"{parts.scheme}://{shown}:{port}{path}", host, port)


def _content(file: Path) -> str:
    if "://" in str(file) or ":/" in str(file):
        raise ValueError("@ stands before the name of a file, not before an address")
    try:
        content = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise ValueError(f"{file} cannot be read ({type(error).__name__})") from None
    if not content or content.startswith(_FILE_MARK):
        raise ValueError(f"{file} holds no address")
    return content

"""The user as whom the proxy's own machine asks it: made at each start, known to nobody else.

Without one, whoever looks whether the proxy works would have to know somebody's password.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from whole_file import write_whole

__all__ = ["FOLDER_VARIABLE", "FolderError", "OwnUser", "folder", "put", "read"]

FOLDER_VARIABLE = "FOUNDRY_GATEWAY_RUN_DIR"
"""Names the folder; two proxies of one user on one machine need two of them."""

_FILE = "own-user.json"
_USERS = "users"


class FolderError(Exception):
    """The folder cannot be used; one line that says what to do."""


@dataclass(frozen=True, slots=True)
class OwnUser:
    """What it takes to ask the proxy: where it is, as whom, and which process must answer."""

    host: str
    port: int
    name: str
    password: str
    pid: int

    @property
    def address(self) -> str:
        """As a client's HTTPS_PROXY has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{self.name}:{self.password}@{host}:{self.port}"

    @property
    def authorization(self) -> str:
        """The value of the header Proxy-Authorization."""
        return "Basic " + base64.b64encode(f"{self.name}:{self.password}".encode()).decode()


def folder(environment: Mapping[str, str]) -> Path:
    """Where the proxy of this user keeps what goes with it."""
    return Path(environment.get(FOLDER_VARIABLE) or Path(tempfile.gettempdir()) / f"foundry-gateway-{os.getuid()}")


def read(place: Path) -> OwnUser | None:
    """The user that was put in the folder `place`; None if there is none that can be read."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return OwnUser(**json.loads((place / _FILE).read_text(encoding="utf-8")))
    return None


def put(place: Path, user: OwnUser, users: str) -> Path:
    """Write `user`, and the htpasswd lines `users`, into `place`; return the file with the latter.

    Nobody else can read either. Raises FolderError.
    """
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = place.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            raise FolderError(f"{place} is somebody else's: name another folder in {FOLDER_VARIABLE}")
        place.chmod(0o700)
        write_whole(place / _FILE, json.dumps(asdict(user)).encode(), 0o600)
        write_whole(place / _USERS, users.encode(), 0o600)
    except OSError as error:
        raise FolderError(
            f"{place} cannot be written ({error.strerror}): mount a tmpfs at /tmp, or name another folder in "
            f"{FOLDER_VARIABLE}"
        ) from None
    return place / _USERS

"""Who may use the proxy: lines of an htpasswd file, as mitmproxy's option `proxyauth` reads them."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from mitmproxy.utils.htpasswd import HtpasswdFile

__all__ = ["FILE_VARIABLE", "LINES_VARIABLE", "UsersError", "line_for", "new_password", "read"]

FILE_VARIABLE = "FOUNDRY_GATEWAY_USERS_FILE"
"""Names the file, where it is not at DEFAULT_FILE."""

LINES_VARIABLE = "FOUNDRY_GATEWAY_USERS"
"""Holds the lines themselves, for places that have secrets in variables only."""

DEFAULT_FILE = Path("/run/secrets/proxy_users")
"""Where container engines put a secret of that name."""

_HOW = "make a line for each with scripts/gateway --new-user NAME, or with htpasswd -nB NAME"
_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_PASSWORD_BYTES = 18


class UsersError(Exception):
    """Nobody could use the proxy, or not as meant; one line that says what to do, and quotes no password."""


def read(environment: Mapping[str, str]) -> str:
    """The htpasswd lines in LINES_VARIABLE, or in the file that FILE_VARIABLE names. Raises UsersError."""
    if lines := environment.get(LINES_VARIABLE, ""):
        return _checked(lines, LINES_VARIABLE)
    file = Path(environment.get(FILE_VARIABLE) or DEFAULT_FILE)
    try:
        lines = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsersError(
            f"there is no {file}, so nobody could use the proxy: {_HOW}, and mount the file there, or name it in "
            f"{FILE_VARIABLE}"
        ) from None
    except OSError as error:
        raise UsersError(f"{file} cannot be read ({error.strerror}): let the proxy's user read it") from None
    except ValueError:
        raise UsersError(f"{file} is no text in UTF-8: {_HOW}") from None
    return _checked(lines, str(file))


def _checked(lines: str, where: str) -> str:
    users = 0
    for number, line in enumerate(lines.splitlines(), 1):
        try:
            users += len(HtpasswdFile(line).users)
        except ValueError:  # its message quotes the line
            raise UsersError(
                f"line {number} of {where} is none that mitmproxy reads (bcrypt or {{SHA}}): {_HOW}"
            ) from None
    if not users:
        raise UsersError(f"{where} names nobody, so nobody could use the proxy: {_HOW}")
    return lines


def line_for(name: str, password: str) -> str:
    """The line for a user whose `password` is one of `new_password`. Raises UsersError for a name that cannot be.

    SHA-1 without salt is enough for a password that nobody can guess, and costs the proxy nothing: it looks at one
    with every connection, and for as long as bcrypt takes, everybody waits.
    """
    if not _NAME.fullmatch(name):
        raise UsersError(f"{name!r} cannot be a name: allowed are up to 64 letters, digits and . _ @ -")
    digest = base64.b64encode(hashlib.sha1(password.encode(), usedforsecurity=False).digest())
    return f"{name}:{{SHA}}{digest.decode()}"


def new_password() -> str:
    """A password that nobody can guess, of letters that stand for themselves in an address."""
    return secrets.token_urlsafe(_PASSWORD_BYTES)

"""Files that are there as a whole or not at all, whoever reads them at whatever moment."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(file: Path, content: bytes, mode: int = 0o644) -> bool:
    """Let `file` hold `content` and have the permissions `mode`, in one step. False if nothing had to be changed.

    Raises OSError if that is not possible; then what was there before still is.
    """
    with contextlib.suppress(OSError):
        if file.read_bytes() == content and file.stat().st_mode & 0o777 == mode:
            return False
    part = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        part.touch(mode & 0o600, exist_ok=False)  # nobody else's until it has its permissions
        part.write_bytes(content)
        part.chmod(mode)
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return True

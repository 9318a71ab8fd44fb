"""Who was told our proxy's address: the processes that have it in their environment."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["proxy_users"]


def proxy_users(address: str) -> dict[int, str]:
    """Process id and name of each process whose HTTPS_PROXY is `address`.

    A process inherits the variable from its parent and keeps it when the parent is gone, so this finds background
    servers wherever they were moved to. On macOS, where the system hides the environment of its own programs, it
    finds the others.
    """
    find = _from_proc if Path("/proc/self/environ").exists() else _from_ps
    return dict(find(address))


def _from_proc(address: str) -> Iterator[tuple[int, str]]:
    marker = f"\0HTTPS_PROXY={address}\0".encode()
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):  # gone by now, or somebody else's
                place = Path(entry.path)
                if marker in b"\0" + (place / "environ").read_bytes():
                    yield int(entry.name), (place / "comm").read_text(errors="replace").strip()


def _from_ps(address: str) -> Iterator[tuple[int, str]]:
    everyone = ["-A", "-E"] if sys.platform == "darwin" else ["-A", "e"]
    argv = ["ps", *everyone, "-ww", "-o", "pid=", "-o", "command="]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(argv, capture_output=True, timeout=10, check=False, stdin=subprocess.DEVNULL)
        yield from parse_ps(done.stdout.decode(errors="replace"), address)


def parse_ps(listing: str, address: str) -> Iterator[tuple[int, str]]:
    """The processes in a listing of `ps` that shows process id, command and environment, one a line."""
    marker = re.compile(rf"(?:^|\s)HTTPS_PROXY={re.escape(address)}(?:\s|$)")
    for line in listing.splitlines():
        pid, _, command = line.strip().partition(" ")
        if pid.isdecimal() and marker.search(command):
            yield int(pid), Path(command.split()[0]).name

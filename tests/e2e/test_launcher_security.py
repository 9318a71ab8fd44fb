"""What docs/security.md claims of scripts/claude-foundry, looked for while it runs."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import ssl
from pathlib import Path

import pytest

from tests.e2e.test_launcher import LAUNCHER, Launch, needs_proc

pytestmark = pytest.mark.e2e

STORES = [
    *("/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates"),
    *(path for path in ssl.get_default_verify_paths() if path),
]
"""Where systems keep whom they trust."""
WAYS_IN = ("update-ca-certificates", "update-ca-trust", "trust", "certutil", "security")
"""Programs that add to it."""


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    return Launch(tmp_path)


def trusted() -> dict[str, tuple[int, int]]:
    """The files that say whom the system trusts, with their times and sizes."""
    files = [file for store in STORES for file in (Path(store), *Path(store).rglob("*")) if file.is_file()]
    return {str(file): (file.stat().st_mtime_ns, file.stat().st_size) for file in files}


def test_nothing_goes_into_the_systems_trust_store(launch: Launch) -> None:
    for name in WAYS_IN:
        program = launch.root / "bin" / name
        program.write_text(f'#!/bin/sh\necho "$0 $*" >>"{launch.root}/called"\n')
        program.chmod(0o755)
    before = trusted()
    done = launch.run()
    assert done.returncode == 0, done.stderr
    assert (launch.root / "certs" / "mitmproxy-ca-cert.pem").exists()
    assert trusted() == before
    assert not (launch.root / "called").exists()
    assert not (launch.root / "home" / ".pki").exists()


@needs_proc
def test_the_token_is_on_the_terminal_and_nowhere_else(launch: Launch) -> None:
    launch.client("env; echo ready; read line")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(launch.root / "work")
        os.execve(LAUNCHER, [str(LAUNCHER)], launch.environment)
    seen, elsewhere = b"", b""
    with contextlib.suppress(OSError):  # how Linux says that the other side is closed
        while piece := os.read(terminal, 4096):
            seen += piece
            if b"\nready" in seen and not elsewhere:
                assert launch.mitmdumps()
                elsewhere = _command_lines_and_variables() + _files(launch.root)
                os.write(terminal, b"\n")
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    token = re.findall(rb"with the token (\S+)", seen)[0]
    assert len(token) > 16
    assert seen.count(token) == 1
    # What others have in their variables is not for a test's report.
    was_looked_at, is_there = b"CLAUDE_FOUNDRY_SESSION" in elsewhere, token in elsewhere
    assert (was_looked_at, is_there) == (True, False)


def _command_lines_and_variables() -> bytes:
    found = b""
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                found += (process / name).read_bytes()
    return found


def _files(folder: Path) -> bytes:
    found = b""
    for file in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # the proxy has taken it away since
            found += file.read_bytes() if file.is_file() else b""
    return found

"""A real nginx on loopback that runs a `stream` block."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.mitmdump import wait_for

__all__ = ["NEEDS_NGINX", "nginx"]

# Not every user's PATH leads to it.
_PROGRAM = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def _stream_module() -> Path | None:
    """The module for TCP, which Debian has in a package of its own; None if there is none."""
    if _PROGRAM is None:
        return None
    version = subprocess.run([_PROGRAM, "-V"], capture_output=True, text=True, check=False).stderr
    folder = re.search(r"--modules-path=(\S+)", version)
    module = Path(folder[1] if folder else "/usr/lib/nginx/modules") / "ngx_stream_module.so"
    return module if module.exists() else None


_MODULE = _stream_module()
NEEDS_NGINX = pytest.mark.skipif(
    _MODULE is None, reason="nginx with its module for TCP is not installed (Debian: nginx, libnginx-mod-stream)"
)


@contextmanager
def nginx(stream: str, directory: Path) -> Iterator[None]:
    """Run nginx with the block `stream`, and what it writes in `directory`, while the context lasts."""
    assert _PROGRAM is not None
    pid = directory / "nginx.pid"
    configuration = directory / "nginx.conf"
    configuration.write_text(
        f"load_module {_MODULE};\ndaemon off;\nworker_processes 1;\npid {pid};\nevents {{}}\n{stream}"
    )
    log = directory / "nginx.log"
    command = [_PROGRAM, "-e", str(log), "-p", str(directory), "-c", str(configuration)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        assert wait_for(lambda: process.poll() is not None or pid.exists()), "nginx did not come up"
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(60)

"""Runs a real mitmdump on loopback for as long as a test needs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from free_port import free_port

__all__ = ["ADDON", "TRUST", "Mitmdump", "free_port", "inherited", "wait_for"]

PROJECT = Path(__file__).resolve().parents[2]
ADDON = PROJECT / "addons" / "foundry_compress.py"
TRUST = ("NODE_EXTRA_CA_CERTS", "SSL_CERT", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
"""How variables begin that say whom a program trusts."""

# Nobody waits for so long but where something hangs, or the machine has much else to do.
_START_SECONDS = 120.0
_STOP_SECONDS = 60.0
# Nor is a request to go out as it is because the proxy was stopped for a while.
_BUDGET_MS = "20000"
_NOT_INHERITED = ("ANTHROPIC", "CLAUDE", "FOUNDRY_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> bool:
    """Whether `condition` came true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def inherited(*but: str) -> dict[str, str]:
    """This process's environment without what leads a client or a proxy elsewhere, or begins with one of `but`."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith((*_NOT_INHERITED, *but))}


class Mitmdump:
    """A mitmdump with `scripts` (the addon alone unless told) and `options` (as for `--set`), used in a `with` block.

    It has a fresh home and a certificate authority of its own, in `home / "ca"`, unless `options` name a confdir.
    `options` with the value None are left to mitmdump's defaults.
    """

    def __init__(
        self,
        home: Path,
        *scripts: Path,
        options: Mapping[str, str | None] | None = None,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        program: str = "mitmdump",
    ) -> None:
        self.home = home
        self.port = free_port()
        given_confdir = (options or {}).get("confdir")
        self.confdir = Path(given_confdir) if given_confdir else home / "ca"
        self.scripts = scripts or (ADDON,)
        given: dict[str, str | None] = {"confdir": str(self.confdir), "listen_host": "127.0.0.1"}
        if ADDON.name in {script.name for script in self.scripts}:
            given["foundry_budget_ms"] = _BUDGET_MS
        given |= {"listen_port": str(self.port), **(options or {})}
        self._command = [
            str(Path(sys.executable).with_name(program)),
            *(part for script in self.scripts for part in ("-s", str(script))),
            *(part for name, value in given.items() if value is not None for part in ("--set", f"{name}={value}")),
            *arguments,
        ]
        self._environment = {
            **inherited(),
            "HOME": str(home),
            "PYTHONUNBUFFERED": "1",
            **(environment or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._stack = ExitStack()
        self._log = home / "mitmdump.log"

    @property
    def url(self) -> str:
        """What a client's HTTPS_PROXY is set to."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def certificate(self) -> Path:
        """What a client must trust."""
        return self.confdir / "mitmproxy-ca-cert.pem"

    @property
    def pid(self) -> int:
        """Of the process, once it is launched."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.launched())
            came_up = wait_for(lambda: self._ended() or self._is_ready(), _START_SECONDS) and not self._ended()
            assert came_up, f"mitmdump did not come up:\n{self.log()}"
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @contextmanager
    def launched(self) -> Iterator[None]:
        """Start it and do not wait; it is stopped at the end of the `with` block."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self.home,
            )
        try:
            yield
        finally:
            self.stop()

    def exit_code(self, seconds: float = _START_SECONDS) -> int | None:
        """How it ends by itself; None if it still runs after `seconds`."""
        with self.launched():
            wait_for(self._ended, seconds)
            return self._process.returncode if self._process else None

    def _ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def kill(self) -> None:
        """End it without a chance to tidy up."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is None or self._ended():
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def log(self) -> str:
        """All that it wrote so far."""
        return self._log.read_text(errors="replace")

    def logged(self, text: str, seconds: float = 30.0) -> bool:
        """Whether `text` stands in the log, or comes to stand there in time."""
        return wait_for(lambda: text in self.log(), seconds)

    def local(self, path: str) -> dict[str, Any]:
        """What http://foundry.local answers at `path`."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": self.url}))
        with opener.open(f"http://foundry.local{path}", timeout=60) as response:
            document: dict[str, Any] = json.load(response)
            return document

    def _is_ready(self) -> bool:
        if "listening at" not in self.log():
            return False
        if ADDON.name not in {script.name for script in self.scripts}:
            return True
        try:
            return bool(self.local("/ready")["addon"])
        except OSError:
            return False

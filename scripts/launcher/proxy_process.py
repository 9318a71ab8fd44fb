"""The mitmdump of one session: on loopback, on a free port, with the addon."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from launcher.corporate_proxy import CorporateProxy
from launcher.errors import LauncherError
from launcher.proxy_users import proxy_users

__all__ = ["PROJECT", "ProxyProcess", "ProxySettings", "session_directory"]

PROJECT = Path(__file__).resolve().parents[2]
ADDON = PROJECT / "addons" / "foundry_compress.py"
START_LIMIT = 60.0  # seconds; the first start on a slow disk compiles everything
ANSWER_LIMIT = 15.0
END_LIMIT = 5.0
DEATH_LIMIT = 5.0
# -c and not the script `mitmdump`, whose first line names the place where the environment was made.
_RUN = f"import sys; sys.path.insert(0, {str(PROJECT / 'scripts')!r}); sys.argv[0] = 'mitmdump'; "
_RUN += "from mitmproxy.tools.main import mitmdump; mitmdump()"

_TIME_OF_DAY = re.compile(r"\A\[[\d:.]+\] ")  # with which mitmdump begins a line


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """What this session's proxy has to know."""

    confdir: Path
    trusted_upstream: Path
    options: Mapping[str, str] = field(default_factory=dict)
    """mitmproxy options by name."""
    scripts: Sequence[Path] = ()
    """Further mitmproxy scripts, after the addon."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Further environment variables."""
    corporate_proxy: CorporateProxy | None = None
    direct_host: str | None = None
    """The host that is reached without the corporate proxy."""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    """What changes the mode while it runs; for the person, and not for the agent's commands."""


@contextlib.contextmanager
def session_directory() -> Iterator[Path]:
    """The session's directory, which only its user can read. It goes here if the session fails, else with mitmdump."""
    directory = Path(tempfile.mkdtemp(prefix="claude-foundry-"))
    try:
        yield directory
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise


class ProxyProcess:
    """A running mitmdump whose addon has answered; `directory` is the session's own, private and short-lived."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path) -> None:
        self._process = process
        self.directory = directory
        self.port = 0

    @classmethod
    def start(cls, settings: ProxySettings, directory: Path) -> Self:
        """Start it and wait until the addon answers. Raises LauncherError with mitmdump's own last words."""
        argv = [sys.executable, "-I", "-u", "-c", _RUN, "--listen-host", "127.0.0.1", "--listen-port", "0"]
        upstream = settings.corporate_proxy
        if upstream:
            argv += ["--mode", f"upstream:{upstream.url}"]
        options = {
            "confdir": settings.confdir,
            "ssl_verify_upstream_trusted_ca": settings.trusted_upstream,
            "termlog_verbosity": "warn",
            "flow_detail": "0",
            **settings.options,
        }
        if settings.direct_host:
            options["connection_strategy"] = "lazy"  # else the way is chosen before the request is seen
        for name, value in options.items():
            argv += ["--set", f"{name}={value}"]
        for script in (ADDON, Path(__file__).with_name("inside_mitmdump.py"), *settings.scripts):
            argv += ["-s", str(script)]
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=PROJECT,
                env={**os.environ, **settings.variables, "CLAUDE_FOUNDRY_SESSION": str(directory)},
                start_new_session=True,  # Ctrl-C and a closed terminal are for the client
            )
        proxy = cls(process, directory)
        try:
            orders = {
                "upstream_auth": upstream.credentials if upstream else None,
                "direct_host": settings.direct_host,
                "token": settings.token,
            }
            proxy._order(orders)
            proxy._wait_until_ready()
        except BaseException:
            process.kill()
            process.wait()
            proxy._close_lifeline()
            raise
        return proxy

    @property
    def address(self) -> str:
        """The value for HTTPS_PROXY."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str) -> dict[str, Any] | None:
        """What the addon answers at `path`; None if it does not."""
        asking = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_LIMIT)
        try:
            asking.request("GET", f"http://foundry.local{path}")
            answer = asking.getresponse()
            document = json.loads(answer.read()) if answer.status == http.client.OK else None
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            asking.close()
        return document if isinstance(document, dict) else None

    def notices(self) -> list[str]:
        """What the addon said is not working."""
        try:
            return (self.directory / "notices").read_text(encoding="utf-8").splitlines()
        except OSError:
            return []

    def still_used(self) -> dict[int, str]:
        """Process id and name of the processes that would miss it."""
        return proxy_users(self.address)

    def release(self, *, answered: bool = True) -> str | None:
        """Let it end as soon as nobody uses it; return a line if it had ended before by itself.

        `answered`: it did, when it was asked last.
        """
        if not answered:
            # A process that was killed is gone from view a moment before its end can be waited for.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(DEATH_LIMIT)
        crashed = self._process.poll() is not None
        self._close_lifeline()
        if crashed:
            for file in self.directory.iterdir():
                if file.name != "log":  # one of them may hold a key that --settings named
                    file.unlink()
            return f"the proxy ended before Claude Code did ({self._last_words()}); its log: {self.directory / 'log'}"
        if not self.still_used():
            try:
                self._process.wait(END_LIMIT)
            except subprocess.TimeoutExpired:
                return None  # somebody uses it after all; it looks for itself
            shutil.rmtree(self.directory, ignore_errors=True)
        return None

    def _order(self, orders: Mapping[str, str | None]) -> None:
        assert self._process.stdin  # noqa: S101 (it was asked for)
        with contextlib.suppress(OSError):  # it has ended already; waiting for it will say why
            self._process.stdin.write(json.dumps(orders).encode() + b"\n")
            self._process.stdin.flush()

    def _close_lifeline(self) -> None:
        assert self._process.stdin  # noqa: S101
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_LIMIT
        port_file = self.directory / "port"
        while self._process.poll() is None and time.monotonic() < deadline:
            if not self.port and port_file.exists():
                self.port = int(port_file.read_text())
            # An open port could be anybody's, and mitmproxy's without the addon would change nothing, silently.
            if self.port and (self.ask("/ready") or {}).get("addon") == "foundry_compress":
                return
            time.sleep(0.02)
        if self._process.poll() is None:
            raise LauncherError(f"the proxy did not answer within {START_LIMIT:.0f} s ({self._last_words()}).")
        raise LauncherError(f"the proxy did not start: {self._last_words()}")

    def _last_words(self) -> str:
        try:
            log = (self.directory / "log").read_text(encoding="utf-8", errors="replace")
        except OSError:
            log = ""
        lines = [_TIME_OF_DAY.sub("", line.strip()) for line in log.splitlines()]
        said = [line for line in lines if line and not line.startswith(("Error logged during", "Errors logged during"))]
        return said[-1] if said else "without a word"

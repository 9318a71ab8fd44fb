"""The service, tried before anything is installed: started just so at another port, until the addon has answered."""

from __future__ import annotations

import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import IO

from doctor_checks import proxy
from free_port import free_port
from launcher.errors import LauncherError
from launcher.proxy_process import START_LIMIT
from service_units.description import Service

__all__ = ["answer_at", "is_taken", "try_out", "wait_for_answer"]

_PAUSE = 0.05
_END_SECONDS = 10.0
_TIME_OF_DAY = re.compile(r"\A\[[\d:.]+\] ")  # with which mitmdump begins a line
_SAID_OF_ERRORS = ("Error logged during", "Errors logged during")


def answer_at(port: int) -> proxy.Look:
    """Who answers on this machine at `port`."""
    return proxy.look(proxy.NamedProxy("http", "127.0.0.1", port, proxy.OPTION))


def wait_for_answer(port: int, seconds: float, is_over: Callable[[], bool] = lambda: False) -> proxy.Look:
    """The same, once the addon answers; after `seconds`, or when it `is_over` before, whatever there is then."""
    end = time.monotonic() + seconds
    while True:
        over = is_over() or time.monotonic() > end
        seen = answer_at(port)
        if seen.kind is proxy.Kind.ADDON or over:
            return seen
        time.sleep(_PAUSE)


def try_out(service: Service, environment: Mapping[str, str]) -> None:
    """Start what `service` would start, besides its own variables with `environment`, and end it again.

    Raises LauncherError with the first thing that it found wrong if the addon does not answer.
    """
    port = free_port()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*service.arguments_with(port), "--quiet"],
            env={**environment, **service.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            seen = wait_for_answer(port, START_LIMIT, lambda: process.poll() is not None)
        finally:
            process.terminate()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if seen.kind is not proxy.Kind.ADDON:
            raise LauncherError(f"the proxy would not start, so nothing was installed: {_first_words(log)}")


def is_taken(port: int) -> bool:
    """Whether somebody listens at `port` on this machine."""
    with socket.socket() as probe:
        # As who starts anew does it: connections that are just ending take nothing.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


def _first_words(log: IO[bytes]) -> str:
    log.seek(0)
    lines = [_TIME_OF_DAY.sub("", line.strip()) for line in log.read().decode(errors="replace").splitlines()]
    said = [line for line in lines if line and not line.startswith(_SAID_OF_ERRORS)]
    return said[0] if said else "without a word"

"""Headless Chromium, driven through its DevTools protocol over two pipes: no driver, no port, no package."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["NO_CHROMIUM", "Chromium", "find_chromium"]

NO_CHROMIUM = "no Chromium: install it, or name it in $FOUNDRY_TEST_CHROMIUM"

_SECONDS = 30.0
_FLAGS = (
    "--headless",
    "--no-sandbox",  # it is shown pages of our own only
    "--disable-gpu",
    "--disable-quic",
    "--hide-scrollbars",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)
# Chromium reads orders from descriptor 3 and answers on descriptor 4.
_START = (
    "import os, sys\nos.dup2(int(sys.argv[1]), 3)\nos.dup2(int(sys.argv[2]), 4)\nos.execv(sys.argv[3], sys.argv[3:])\n"
)
_MIDDLE = """
(selector) => {
  const element = document.querySelector(selector);
  element.scrollIntoView({ block: "center" });
  const box = element.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
}
"""


def find_chromium() -> str | None:
    """The program; None if there is none."""
    named = os.environ.get("FOUNDRY_TEST_CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Chromium:
    """One window, used in a `with` block. All that it asks for goes through the proxy at `proxy`."""

    def __init__(self, home: Path, proxy: str) -> None:
        self._home = home
        self._proxy = proxy
        self._orders = self._answers = -1
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        program = find_chromium()
        assert program is not None, NO_CHROMIUM
        theirs_in, self._orders = map(_out_of_the_way, os.pipe())
        self._answers, theirs_out = map(_out_of_the_way, os.pipe())
        command = [sys.executable, "-S", "-c", _START, str(theirs_in), str(theirs_out), program, *_FLAGS]
        command += [f"--user-data-dir={self._home / 'profile'}", f"--proxy-server={self._proxy}", "about:blank"]
        with (self._home / "chromium.log").open("wb") as log:
            self._process = subprocess.Popen(
                command,
                pass_fds=(theirs_in, theirs_out),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "HOME": str(self._home), "TZ": "UTC"},
                start_new_session=True,  # so that all of its processes can be ended
            )
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(f"{domain}.enable")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        assert self._process is not None
        os.close(self._orders)  # tells it to end
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        os.close(self._answers)

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Give an order and wait for what it answers."""
        self._number += 1
        order: dict[str, object] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            order["sessionId"] = self._session
        os.write(self._orders, json.dumps(order).encode() + b"\0")
        end = time.monotonic() + _SECONDS
        while True:
            message = self._message(end)
            if message.get("id") == self._number:
                assert "error" not in message, (method, message)
                result: dict[str, Any] = message["result"]
                return result
            self.events.append(message)

    def _message(self, end: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, end - time.monotonic()))
            assert ready, "Chromium does not answer"
            piece = os.read(self._answers, 1 << 20)
            assert piece, f"Chromium ended:\n{(self._home / 'chromium.log').read_text(errors='replace')[-2_000:]}"
            self._buffer += piece
        raw, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(raw)
        return message

    def goto(self, url: str) -> None:
        """Open a page and wait until all of it is there."""
        self.events.clear()
        answer = self.call("Page.navigate", url=url)
        assert not answer.get("errorText"), answer
        end = time.monotonic() + _SECONDS
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._message(end))

    def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript on the page, or of the promise that it is."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def comes_true(self, expression: str, seconds: float = _SECONDS) -> bool:
        """Whether an expression is true, or comes to be in time."""
        end = time.monotonic() + seconds
        while not self.evaluate(expression):
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    def text(self, selector: str) -> str:
        """What an element says."""
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))

    def click(self, selector: str) -> None:
        """Press the mouse in the middle of an element."""
        where = self.evaluate(f"({_MIDDLE})({json.dumps(selector)})")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=where[0], y=where[1], button="left", clickCount=1)

    def type(self, selector: str, text: str) -> None:
        """Click into a field and write into it."""
        self.click(selector)
        self.call("Input.insertText", text=text)

    def look(self, *, width: int, dark: bool) -> None:
        """Make the window so wide, and say what colours the person likes."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, height: int | None = None) -> bytes:
        """A PNG of the page, or of as much of it as is so high."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], height or size["height"])}
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip={**clip, "scale": 1})
        return base64.b64decode(answer["data"])

    def complaints(self) -> list[str]:
        """What the page was kept from, and what broke in it."""
        self.evaluate("0")  # whatever happened before has been told of when this is answered
        found = []
        for event in self.events:
            parameters = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                found.append(str(parameters["exceptionDetails"]))
            elif event.get("method") == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
                found.append(str(parameters["entry"]["text"]))
        return found

    def asked_for(self) -> list[str]:
        """The addresses of all requests since the page was opened."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]


def _out_of_the_way(descriptor: int) -> int:
    """The same under a number that is not 3 or 4."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return moved

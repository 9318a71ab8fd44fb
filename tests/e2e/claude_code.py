"""Runs the real Claude Code in Foundry mode, each time with an environment of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.mitmdump import TRUST, inherited

__all__ = ["STREAMS", "ClaudeCode", "Drip", "Run", "client_path"]

_PROJECT = Path(__file__).resolve().parents[2]
_INSTALLED = _PROJECT / ".tools/claude-code/node_modules/.bin/claude"
_SECONDS = 300.0
_TELLING_SECONDS = 60.0
# Whatever would lead the client elsewhere, or have it or the commands that it runs trust others.
_NOT_INHERITED = ("AWS_", *TRUST, "PIP_CERT", "GIT_SSL")


def client_path() -> Path | None:
    """Return the client to test: $FOUNDRY_TEST_CLAUDE, or the one that the test set-up installed, or None."""
    path = Path(os.environ.get("FOUNDRY_TEST_CLAUDE") or _INSTALLED)
    return path if path.exists() else None


NEEDS_CLIENT = pytest.mark.skipif(
    client_path() is None,
    reason=os.environ.get("FOUNDRY_TEST_NO_CLAUDE")
    or "no Claude Code: scripts/test installs it from npm, or FOUNDRY_TEST_CLAUDE names it",
)
"""For tests that run the real client."""

STREAMS = ("--output-format", "stream-json", "--include-partial-messages", "--verbose")
"""Arguments with which the client prints each event of a stream as soon as it has come."""


@dataclass(frozen=True)
class Run:
    """What one run of the client left."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> set[str]:
        """The lines of what it printed. Claude Code 2.1.332 answers again whenever a sub-agent has ended."""
        return set(filter(None, self.out.split("\n")))


class Drip(threading.Event):
    """In the place of what ends a stand-in: each pause in a stream lasts until the client has told of all before it.

    `tells` is to be handed what the client prints. `pauses` counts them; `is_held_back`: it did not tell in time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pauses = 0
        self.is_held_back = False
        self._told = threading.Semaphore()  # the first pause is before there is anything

    def tells(self, line: str) -> None:
        """The client has printed a line."""
        if json.loads(line)["type"] == "stream_event":
            self._told.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Whether the stand-in ends, which is not asked for here."""
        del timeout
        self.pauses += 1
        self.is_held_back = self.is_held_back or not self._told.acquire(timeout=_TELLING_SECONDS)
        return False


@dataclass
class ClaudeCode:
    """The client with a fresh home; `directory` is what it works in."""

    home: Path
    directory: Path
    proxy: str
    ca_path: Path
    model: str = "claude-sonnet-4-5"
    extra: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """The environment of the client, nothing of which is inherited that would steer it."""
        return inherited(*_NOT_INHERITED) | {
            "HOME": str(self.home),
            "CLAUDE_CONFIG_DIR": str(self.home / ".claude"),
            "CLAUDE_CODE_USE_FOUNDRY": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "ANTHROPIC_FOUNDRY_RESOURCE": "made-up-resource",
            "ANTHROPIC_FOUNDRY_API_KEY": "made-up-key",
            "ANTHROPIC_MODEL": self.model,
            "ANTHROPIC_DEFAULT_SONNET_MODEL": self.model,
            "ANTHROPIC_DEFAULT_OPUS_MODEL": self.model,
            "ANTHROPIC_DEFAULT_HAIKU_MODEL": self.model,
            "HTTPS_PROXY": self.proxy,
            "NODE_EXTRA_CA_CERTS": str(self.ca_path),
            "IS_SANDBOX": "1",  # lets root skip permissions
            **self.extra,
        }

    def run(
        self, prompt: str, *arguments: str, asks: bool = False, tells: Callable[[str], object] = lambda _: None
    ) -> Run:
        """Let the client answer `prompt`, with all its tools allowed unless it `asks`. Fails after five minutes.

        There is nobody to answer: what it asks for is refused. `tells` is handed each line that it prints, at once.
        """
        path = client_path()
        if path is None:
            raise FileNotFoundError("no Claude Code to run")
        self.home.mkdir(exist_ok=True)
        with tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(
                [str(path), "-p", prompt, *([] if asks else ["--dangerously-skip-permissions"]), *arguments],
                cwd=self.directory,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
            lines: list[str] = []
            reader = threading.Thread(target=_read_lines, args=(process, lines, tells))
            reader.start()
            try:
                code = process.wait(_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise
            finally:
                process.wait()
                reader.join()
            errors.seek(0)
            return Run(code, "".join(lines), errors.read())


def _read_lines(process: subprocess.Popen[str], lines: list[str], tells: Callable[[str], object]) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.append(line)
            tells(line)

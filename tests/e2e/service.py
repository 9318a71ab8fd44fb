"""scripts/service as a user runs it: a fresh home, and a stand-in for systemd that starts what the unit says."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.e2e.mitmdump import PROJECT, TRUST, free_port, inherited

__all__ = ["SERVICE_UNIT", "Machine"]

SERVICE_UNIT = Path(".config/systemd/user/foundry-compress.service")
_FAKE = PROJECT / "tests" / "e2e" / "harness" / "fake_systemctl.py"
_SECONDS = 120


@dataclass
class Machine:
    """Used in a `with` block, at whose end the service is stopped, whatever became of it."""

    root: Path
    variables: dict[str, str] = field(default_factory=dict)
    """What the user's shell sets."""
    port: int = field(default_factory=free_port)

    def __enter__(self) -> Self:
        for name in ("home", "bin", "systemd"):
            (self.root / name).mkdir()
        fake = self.root / "bin" / "systemctl"
        fake.write_text(f'#!/bin/sh\nexec {sys.executable} {_FAKE} "$@"\n')
        fake.chmod(0o755)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run(
            [self.root / "bin" / "systemctl", "--user", "disable", "--now", SERVICE_UNIT.name],
            env=self.environment,
            timeout=_SECONDS,
            check=False,
        )

    @property
    def environment(self) -> dict[str, str]:
        return inherited("XDG_", *TRUST) | {
            "HOME": str(self.home),
            "PATH": f"{self.root / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "FAKE_SYSTEMD": str(self.root / "systemd"),
            "FOUNDRY_COMPRESS_CONFDIR": str(self.root / "certs"),
            **self.variables,
        }

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def unit(self) -> Path:
        return self.home / SERVICE_UNIT

    @property
    def state(self) -> Path:
        return self.home / ".local" / "state" / "foundry-compress"

    @property
    def certificate(self) -> Path:
        return self.root / "certs" / "mitmproxy-ca-cert.pem"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def asked(self) -> list[str]:
        """What systemd was asked, but for questions that change nothing."""
        file = self.root / "systemd" / "asked"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line.removeprefix("--user ") for line in lines if not line.startswith("--user show")]

    @property
    def journal(self) -> str:
        file = self.root / "systemd" / "journal"
        return file.read_text(errors="replace") if file.exists() else ""

    def service(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return self._run("service", *arguments, **variables)

    def print_env(self, form: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return self._run("claude-foundry", "--print-env", form, *arguments, **variables)

    def _run(self, script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROJECT / "scripts" / script, *arguments],
            env=self.environment | variables,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )

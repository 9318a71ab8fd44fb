"""Runs programs that use the SDKs, in environments of their own that scripts/test makes in .tools."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

__all__ = ["NEEDS_NODE_SDKS", "NEEDS_PYTHON_SDKS", "NODE_MODULES", "PROJECT", "PYTHON", "environment", "run"]

PROJECT = Path(__file__).resolve().parents[3]
PYTHON = PROJECT / ".tools/sdks/bin/python"
NODE_MODULES = PROJECT / ".tools/node-sdks/node_modules"

_SECONDS = 300.0
_HOW = "scripts/test installs them"

NEEDS_PYTHON_SDKS = pytest.mark.skipif(
    not (PYTHON.parent.parent / "installed").exists(),
    reason=os.environ.get("FOUNDRY_TEST_NO_SDKS") or f"no Python SDKs: {_HOW}",
)
"""For tests that run programs with the Python SDKs."""

NEEDS_NODE_SDKS = pytest.mark.skipif(
    not (NODE_MODULES.parent / "installed").exists() or shutil.which("node") is None,
    reason=os.environ.get("FOUNDRY_TEST_NO_NODE_SDKS") or f"no node, or no SDKs for it: {_HOW}",
)
"""For tests that run programs with the SDKs for Node."""


def environment(home: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program: `variables`, and nothing inherited that would steer an SDK."""
    path = os.pathsep.join([str(PYTHON.parent), os.environ.get("PATH", os.defpath)])
    return {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", **variables}


def run(command: list[str], directory: Path, variables: Mapping[str, str], given: str = "") -> str:
    """What `command` prints, `given` on its standard input. Fails with all that it wrote unless it ends well."""
    done = subprocess.run(
        command,
        cwd=directory,
        env=dict(variables),
        input=given,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{command[:2]} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    if done.stderr:
        print(done.stderr, file=sys.stderr)  # noqa: T201 - pytest shows it where a test fails
    return done.stdout

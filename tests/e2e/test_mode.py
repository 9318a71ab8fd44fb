"""The mode of a running proxy, changed with scripts/mode: a conversation in the prompt cache goes on as it went out."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from demo.answers import Answer
from tests.e2e.claude_code import NEEDS_CLIENT
from tests.e2e.client import Tunnel
from tests.e2e.laws import messages_exchanges, verify
from tests.e2e.mitmdump import PROJECT
from tests.e2e.route import AHEAD, Route, route
from tests.e2e.scripted import SOURCE, read
from tests.e2e.set_aside_sessions import LIFETIME, PAUSE, by_turn, look_around

pytestmark = [pytest.mark.e2e, NEEDS_CLIENT]

TOKEN = "made-up-token"
OPTIONS = {"foundry_mode": "lossless", "foundry_cache_ttl": f"{LIFETIME:g}", "foundry_token": TOKEN}


def change(way: Route, *arguments: str, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")}
    return subprocess.run(
        [sys.executable, "-I", str(PROJECT / "scripts" / "mode_body.py"), *arguments, "--proxy", way.proxy.url],
        env=environment | {"FOUNDRY_COMPRESS_TOKEN": token},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def is_tunnelled(way: Route) -> bool:
    """Whether a connection to Foundry shows the service's own certificate."""
    host = "made-up-resource.services.ai.azure.com"
    with Tunnel(way.proxy.port, host) as tunnel:
        try:
            tunnel.start_tls(host, way.stand_in.ca_path)
        except ssl.SSLError:
            return False
        return True


def test_off_waits_until_the_conversation_is_cold(tmp_path: Path, work: Path) -> None:
    script = by_turn(*look_around(work), Answer((read(work / SOURCE),)), Answer(("Read.",)))
    with route(script, tmp_path / "route", addon=True, clock=AHEAD, **OPTIONS) as way:
        way.client(work).run("Look around.")
        refused = change(way, "off", token="wrong")
        done = change(way, "off")
        way.client(work).run("Go on.", "-c")
        found = messages_exchanges(way.exchanges())
        was_tunnelled = is_tunnelled(way)
        way.let_pass(PAUSE)
        assert is_tunnelled(way)

    assert (refused.returncode, done.returncode) == (2, 0), done.stderr
    assert "1 conversation will go on as before" in done.stdout
    assert not was_tunnelled
    verify(found)
    last = [one for one in found if "Go on." in json.dumps(one.sent_messages)]
    assert last
    assert all(one.sent != one.arrived.body for one in last), "what the cache holds is sent as the cache holds it"


def test_off_now_holds_at_once_and_says_what_it_costs(tmp_path: Path, work: Path) -> None:
    with route(by_turn(*look_around(work)), tmp_path / "route", addon=True, **OPTIONS) as way:
        way.client(work).run("Look around.")
        done = change(way, "off", "--now")
        assert is_tunnelled(way)

    assert "1 conversation will pay anew for a prompt cache of " in done.stdout

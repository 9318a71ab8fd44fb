"""scripts/estimate on what the real Claude Code leaves behind."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from compression_engine import tokens
from tests.e2e.claude_code import NEEDS_CLIENT
from tests.e2e.laws import messages_exchanges
from tests.e2e.mitmdump import PROJECT
from tests.e2e.route import AHEAD, route
from tests.e2e.scripted import make_project, session, sub_agents
from tests.e2e.set_aside_sessions import LIFETIME, PAUSE, stubs

pytestmark = [pytest.mark.e2e, NEEDS_CLIENT]

CACHE_TTL = f"{LIFETIME:g}"


@pytest.mark.parametrize("kind", ["one session, resumed", "after a pause", "sub-agents", "forked", "compacted"])
def test_the_estimate_is_what_the_proxy_really_removed(tmp_path: Path, kind: str) -> None:
    work = tmp_path / "work"
    make_project(work)
    script = sub_agents(work) if kind == "sub-agents" else session(work)
    with route(script, tmp_path / "route", clock=AHEAD, foundry_cache_ttl=CACHE_TTL) as way:
        client = way.client(work)
        runs = [client.run("Rename the twelfth item.")]
        if kind == "after a pause":
            way.let_pass(PAUSE)
            _make_older(client.home, PAUSE)
        if kind in {"one session, resumed", "after a pause"}:
            runs.append(client.run("Is it done?", "-c"))
        if kind == "forked":
            runs.append(client.run("Is it done?", "-c", "--fork-session"))
        asked = len(messages_exchanges(way.exchanges()))
        if kind == "compacted":
            client.run("/compact", "-c")
            runs.append(client.run("Go on.", "-c"))
        found = messages_exchanges(way.exchanges())
    assert [run.code for run in runs] == [0] * len(runs)
    if kind == "compacted":
        del found[asked]  # for the summary: it is in no transcript

    before = _fingerprints(client.home)
    document = _estimate(client.home)
    assert _fingerprints(client.home) == before

    assert document["transcripts"]["requests"] == len(found)
    assert document["transcripts"]["unreadable_lines"] == 0
    assert document["transcripts"]["requests_without_usage"] == 0
    assert [row["name"] for row in document["by_project"]] == [str(work)]
    removed = sum(tokens.count(result.sent) - tokens.count(result.arrived) for one in found for result in one.results)
    assert removed > 1000
    # Not to the last token: a reminder that the client puts into a result is in no transcript.
    assert document["saved"]["o200k_tokens"] == pytest.approx(removed, rel=0.001)
    assert 0.005 < document["saved"]["share"] < 0.5
    aside = len(stubs(found[-1].arrived))
    assert aside == document["set_aside"]["results"]
    assert bool(aside) is (kind == "after a pause")


def _make_older(home: Path, seconds: float) -> None:
    """Have all that the client's transcripts tell so far have happened so many seconds earlier."""

    def earlier(written: re.Match[str]) -> str:
        at = datetime.fromisoformat(written[1]) - timedelta(seconds=seconds)
        return f'"timestamp":"{at.isoformat(timespec="milliseconds").replace("+00:00", "Z")}"'

    transcripts = list((home / ".claude" / "projects").rglob("*.jsonl"))
    for transcript in transcripts:
        text, changed = re.subn('"timestamp":"([^"]*)"', earlier, transcript.read_text(encoding="utf-8"))
        assert changed
        transcript.write_text(text, encoding="utf-8")
    assert transcripts


def _estimate(home: Path) -> dict[str, Any]:
    """Start it as the script does, with the client's home as its own."""
    argv = [sys.executable, "-IB", str(PROJECT / "scripts/estimate_savings"), "--json", "--cache-ttl", CACHE_TTL]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CLAUDE", "XDG_"))}
    done = subprocess.run(
        argv, env=inherited | {"HOME": str(home)}, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def _fingerprints(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file and folder with when it was last changed and what is in it."""
    return {
        str(path): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
        for path in sorted(folder.rglob("*"))
    }

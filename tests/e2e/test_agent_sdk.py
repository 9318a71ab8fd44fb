"""The Claude Agent SDK drives the real Claude Code, straight and through a real mitmdump with the addon."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.claude_code import NEEDS_CLIENT, ClaudeCode, client_path
from tests.e2e.connect_proxy import ConnectProxy
from tests.e2e.laws import messages_exchanges, verify
from tests.e2e.route import proxied, route
from tests.e2e.scripted import SOURCE, make_project, session
from tests.e2e.sdks.environment import NEEDS_NODE_SDKS, NODE_MODULES, PROJECT, run
from tests.e2e.sdks.foundry import Foundry
from tests.e2e.snippets import snippet

pytestmark = [pytest.mark.e2e, NEEDS_CLIENT, NEEDS_NODE_SDKS]

PAGE = "docs/clients/claude-agent-sdk.md"
PROMPT = "Rename the twelfth item."
LAST_WORDS = "The session is over."


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Where the agent works; node finds the SDK from above it, in `tmp_path`."""
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    directory = tmp_path / "work"
    make_project(directory)
    return directory


def test_the_page_works_as_it_stands(tmp_path: Path, work: Path) -> None:
    """But for what stands on it for the reader's own: the proxy, the certificate, and which Claude Code is run."""
    with route(session(work), tmp_path / "route") as way:
        client = way.client(work)
        own = {
            "http://127.0.0.1:8080": way.proxy.url,
            "/home/dev/foundry-compress/certs/mitmproxy-ca-cert.pem": str(way.proxy.certificate),
            "  options: {": f"  options: {{\n    pathToClaudeCodeExecutable: {json.dumps(str(client_path()))},",
        }
        given = client.environment()
        for name in ("CLAUDE_CODE_USE_FOUNDRY", "ANTHROPIC_FOUNDRY_RESOURCE", "HTTPS_PROXY", "NODE_EXTRA_CA_CERTS"):
            del given[name]
        program = tmp_path / "page.mjs"
        program.write_text(snippet(PAGE, "js", replacing=own), encoding="utf-8")
        client.home.mkdir()
        printed = run(["node", str(program)], work, given)
        found = way.exchanges()

    assert printed == f"{LAST_WORDS}\n"
    assert (work / SOURCE).read_text().count("price_of_azure_item_12") == 1
    assert all(exchange.arrived.header("x-api-key") == "made-up-key" for exchange in found)
    assert all(exchange.arrived.header("host") == "my-resource.services.ai.azure.com" for exchange in found)
    verify(found)
    last = messages_exchanges(found)[-1]
    assert len(last.arrived.json["messages"]) == len(last.sent_messages) > 2
    assert sum(len(result.arrived) for result in last.results) < 0.6 * sum(len(result.sent) for result in last.results)


def test_messages_and_stream_events_are_the_same_as_without_the_proxy(tmp_path: Path, work: Path) -> None:
    script = session(work)
    with Foundry(script) as foundry, ConnectProxy(foundry.port) as tunnel:
        straight = decoded(tmp_path, work, f"http://127.0.0.1:{tunnel.port}", foundry.ca_path)
    shutil.rmtree(work)
    make_project(work)
    with Foundry(script) as foundry, proxied(foundry, tmp_path / "route") as way:
        through = decoded(tmp_path, work, way.proxy.url, way.proxy.certificate)
        found = way.exchanges()

    verify(found)
    assert any(exchange.sent != exchange.arrived.body for exchange in found)
    assert through == straight
    assert through[-1] == {"result": LAST_WORDS, "is_error": False}
    assert sum("event" in entry for entry in through) > 5 * len(script)


def decoded(tmp_path: Path, work: Path, proxy: str, authority: Path) -> list[dict[str, Any]]:
    """What the SDK hands on of the answers: stream events, messages, and the result."""
    home = tmp_path / f"client-{len(list(tmp_path.glob('client-*')))}"
    home.mkdir()
    client = ClaudeCode(home, work, proxy, authority)
    program = shutil.copy(PROJECT / "tests/e2e/sdks/agent.mjs", tmp_path)
    printed = run(["node", str(program), str(client_path()), PROMPT], work, client.environment())
    found: list[dict[str, Any]] = []
    for message in map(json.loads, printed.splitlines()):
        match message["type"]:
            case "stream_event":
                found.append({"event": message["event"]})
            case "assistant":
                found.append({"message": message["message"]})
            case "result":
                found.append({"result": message["result"], "is_error": message["is_error"]})
    return found

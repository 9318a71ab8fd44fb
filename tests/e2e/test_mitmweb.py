"""What users of mitmweb see of single requests, and what its commands answer: asked through its own API."""

from __future__ import annotations

import gzip
import json
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import outcomes
from demo.stand_in import StandIn
from tests.e2e import client, foundry_request, mitmweb
from tests.e2e.mitmdump import PROJECT, Mitmdump, free_port, wait_for
from tests.e2e.route import proxied

pytestmark = pytest.mark.e2e

HOST = "made-up.services.ai.azure.com"
SECRET = "made-up-secret"


@dataclass
class Web:
    """A mitmweb, and what its API says."""

    proxy: Mitmdump
    port: int

    def ask(self, path: str, document: object = None) -> Any:
        """What mitmweb answers to a GET, or to a POST of `document`."""
        return mitmweb.ask(self.port, path, document)

    def is_up(self) -> bool:
        """Whether mitmweb answers; its proxy may be quicker."""
        try:
            return bool(self.ask("/state.json"))
        except OSError:
            return False

    def send(self, body: bytes, *headers: str, path: str = "/anthropic/v1/messages") -> dict[str, Any]:
        """Send a request to Foundry; how mitmweb lists it."""
        before = {flow["id"] for flow in self.ask("/flows")}
        raw = client.request(HOST, body, f"x-api-key: {SECRET}", *headers, path=path)
        client.exchange(self.proxy.port, HOST, raw, self.proxy.certificate)
        (flow,) = [flow for flow in self.ask("/flows") if flow["id"] not in before]
        listed: dict[str, Any] = flow
        return listed

    def shown(self, flow: dict[str, Any], view: str = "auto", message: str = "request") -> dict[str, Any]:
        """A content view of a flow, as mitmweb shows it."""
        found: dict[str, Any] = self.ask(f"/flows/{flow['id']}/{message}/content/{view}.json?lines=100000")
        return found

    def command(self, name: str, *arguments: str) -> Any:
        """What a command answers; what it refuses begins with "error: "."""
        answer = self.ask(f"/commands/{name}", {"arguments": arguments})
        return f"error: {answer['error']}" if "error" in answer else answer["value"]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    port = free_port()
    with ExitStack() as stack:
        stand_in = stack.enter_context(StandIn())
        options: dict[str, Any] = mitmweb.web_options(port)
        way = stack.enter_context(proxied(stand_in, tmp_path_factory.mktemp("web"), program="mitmweb", **options))
        found = Web(way.proxy, port)
        assert wait_for(found.is_up), way.proxy.log()
        yield found


@pytest.fixture(scope="module")
def rewritten(web: Web) -> dict[str, Any]:
    """A request of which much could go, as it is listed."""
    return web.send(foundry_request.body())


def test_the_list_says_what_was_done(rewritten: dict[str, Any]) -> None:
    assert rewritten["comment"].startswith("rewritten: ")
    assert rewritten["comment"].endswith(" ms")
    assert not rewritten["marked"]


def test_the_view_opens_by_itself_on_the_request_only(web: Web, rewritten: dict[str, Any]) -> None:
    shown = web.shown(rewritten)
    assert (shown["view_name"], shown["description"]) == ("Foundry-Rewrite", "")
    assert shown["text"].startswith("1 tool result went in fewer tokens: ")
    assert "══ 1. Read /x/a.py\n   numbered-file; " in shown["text"]
    assert "\n+[view " in shown["text"]
    assert web.shown(rewritten, message="response")["view_name"] != "Foundry-Rewrite"


def test_a_compressed_request_is_shown_too(web: Web) -> None:
    flow = web.send(gzip.compress(foundry_request.body()), "content-encoding: gzip")
    shown = web.shown(flow)
    assert (shown["view_name"], shown["description"]) == ("Foundry-Rewrite", "[decoded gzip]")


def test_the_conversation_is_shown_when_it_is_chosen(web: Web, rewritten: dict[str, Any]) -> None:
    text = web.shown(rewritten, "Foundry-Conversation")["text"]
    assert "══ 1. user\nLook at a.py.\n" in text
    assert '→ Read {"file_path": "/x/a.py"}\n' in text
    assert "← Read /x/a.py\n" in text


@pytest.mark.parametrize(
    ("body", "headers", "path", "outcome"),
    [
        (b'{"messages": 3}', [], "/anthropic/v1/messages", outcomes.NOT_UNDERSTOOD),
        (b"{}", [], "/openai/v1/chat/completions", outcomes.NOT_UNDERSTOOD),
        (b"{}", [], "/made/up", outcomes.UNKNOWN_FORMAT),
        (b"{}", ["content-encoding: made-up"], "/anthropic/v1/messages", outcomes.UNREADABLE_ENCODING),
    ],
)
def test_what_was_passed_though_it_is_foundrys_is_marked(
    web: Web, body: bytes, headers: list[str], path: str, outcome: str
) -> None:
    flow = web.send(body, *headers, path=path)
    assert flow["comment"].startswith(f"passed as it came: {outcomes.reason(outcome)}; ")
    assert flow["marked"].startswith("\N{WARNING SIGN}")
    for view in ("auto", "Foundry-Rewrite", "Foundry-Conversation"):
        shown = web.shown(flow, view)
        if outcome == outcomes.UNKNOWN_FORMAT:  # it went on while it came in, so mitmproxy has kept nothing of it
            assert shown["text"] == "Content is missing."
            continue
        assert shown["syntax_highlight"] != "error", shown["text"]
        assert "Traceback" not in shown["text"]


def test_what_holds_nothing_to_do_is_not_marked(web: Web) -> None:
    flow = web.send(b'{"model":"m","messages":[{"role":"user","content":"Hello."}]}')
    assert flow["comment"].startswith("as it came: ")
    assert not flow["marked"]


def test_single_results_are_explained(web: Web, rewritten: dict[str, Any]) -> None:
    outcome, result = web.command("foundry.explain", f"@{rewritten['id']}")
    assert outcome == rewritten["comment"]
    assert result.startswith("1. Read /x/a.py: numbered-file, ")
    assert web.command("foundry.explain", "~m PATCH") == ["no flow is chosen"]


def test_the_focus_is_the_last_request_if_mitmweb_is_told_so(web: Web, rewritten: dict[str, Any]) -> None:
    web.command("set", "console_focus_follow", "true")
    flow = web.send(b"{}")
    assert web.command("foundry.explain", "@focus") == [flow["comment"]]
    assert flow["comment"] != rewritten["comment"]


def test_flows_are_found_by_what_was_done(web: Web, rewritten: dict[str, Any]) -> None:
    by_outcome = web.command("foundry.explain", "~meta rewritten & ~comment tokens")
    assert rewritten["comment"] in by_outcome
    assert not any(line.startswith("passed as it came") for line in by_outcome)


def test_a_request_is_exported_without_credentials(web: Web, rewritten: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "pair.json"
    assert "holds the conversation" in web.command("foundry.export", f"@{rewritten['id']}", str(file))
    text = file.read_text(encoding="utf-8")
    assert SECRET not in text
    assert json.loads(text)["before"].encode() == foundry_request.body()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("command", "refused"),
    [
        (["foundry.export", "~m PATCH", "a"], "error: foundry.export: choose one flow, as with @focus"),
        (["foundry.mode", "fast"], "error: foundry_mode: 'fast' is not possible"),
        (["foundry.mode", "off", "soon"], "error: foundry.mode: 'soon' is not possible; allowed is now, or nothing"),
    ],
)
def test_what_is_not_possible_is_said_in_a_line(web: Web, command: list[str], refused: str) -> None:
    answer = web.command(*command)
    assert answer.startswith(refused)
    assert "\n" not in answer


def test_totals_and_the_mode(web: Web) -> None:
    lines = web.command("foundry.stats")
    assert lines[0] == "mode: balanced"
    assert any(line.startswith("tokens_removed: ") for line in lines)
    assert "Lossless" in web.command("foundry.mode", "lossless")
    assert web.command("foundry.mode") == "lossless"
    assert "Balanced" in web.command("foundry.mode", "balanced")


def test_a_reload_leaves_one_of_each(tmp_path: Path) -> None:
    script = tmp_path / "loads_the_addon.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(PROJECT / 'addons')!r})\n"
        "from foundry_compress import FoundryCompress\naddons = [FoundryCompress()]\n",
        encoding="utf-8",
    )
    port = free_port()
    with StandIn() as stand_in:
        options: dict[str, Any] = {
            **mitmweb.web_options(port),
            "ssl_verify_upstream_trusted_ca": str(stand_in.ca_path),
            "foundry_state_dir": str(tmp_path / "state"),
        }
        redirect = PROJECT / "scripts/demo/redirect.py"
        variables = {"FOUNDRY_STAND_IN_PORT": str(stand_in.port)}
        proxy = Mitmdump(tmp_path, script, redirect, options=options, environment=variables, program="mitmweb")
        with proxy:
            web = Web(proxy, port)
            assert wait_for(web.is_up), proxy.log()
            before = web.send(foundry_request.body())
            later = script.stat().st_mtime + 10
            os.utime(script, (later, later))
            assert wait_for(lambda: proxy.log().count("To change the mode while this proxy runs") == 2), proxy.log()
            after = web.send(foundry_request.body())
            assert web.shown(after)["view_name"] == "Foundry-Rewrite"
            assert web.shown(before)["view_name"] != "Foundry-Rewrite", "the bodies went with the first load"
            views = web.ask("/state.json")["contentViews"]
            assert sum(name.lower().startswith("foundry") for name in views) == 2
            outcome, *results = web.command("foundry.explain", f"@{after['id']}")
            assert (outcome, len(results)) == (after["comment"], 1)

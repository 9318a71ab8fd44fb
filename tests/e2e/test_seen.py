"""A real session through mitmweb: whoever looks at it sees the same figures, and they are those that were billed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from demo.prompt_cache import PromptCache
from demo.stand_in import StandIn
from tests.e2e import mitmweb
from tests.e2e.claude_code import NEEDS_CLIENT
from tests.e2e.mitmdump import PROJECT, free_port, wait_for
from tests.e2e.noted import ledger
from tests.e2e.route import Route, proxied
from tests.e2e.scripted import make_project, session

pytestmark = [pytest.mark.e2e, NEEDS_CLIENT]

UNITS = {"input_tokens": 1.0, "cache_creation_input_tokens": 1.25, "cache_read_input_tokens": 0.1, "output_tokens": 5.0}


@dataclass
class Seen:
    """A session that is over, the proxy that it went through, and mitmweb's API."""

    way: Route
    web_port: int

    @property
    def bills(self) -> list[dict[str, Any]]:
        """What the stand-in billed, oldest first."""
        return [bill for _, bill in sorted(self.way.stand_in.bills.items())]

    @property
    def units(self) -> float:
        """The same in units."""
        return sum(price * int(bill[kind]) for bill in self.bills for kind, price in UNITS.items())

    def web(self, path: str, document: object = None) -> Any:
        """What mitmweb's API answers."""
        return mitmweb.ask(self.web_port, path, document)

    def flows(self) -> list[dict[str, Any]]:
        """The billed requests, as mitmweb lists them."""
        flows = self.web("/flows")
        return [flow for flow in flows if flow.get("request", {}).get("path", "").startswith("/anthropic/v1/messages?")]

    def script(self, package: str, *arguments: str) -> dict[str, Any]:
        """What one of our scripts says with --json."""
        done = subprocess.run(
            [sys.executable, "-IB", str(PROJECT / "scripts" / package), "--json", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.stdout, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    directory = tmp_path_factory.mktemp("seen")
    work = directory / "work"
    make_project(work)
    port = free_port()
    web: dict[str, Any] = mitmweb.web_options(port)
    with ExitStack() as stack:
        stand_in = stack.enter_context(StandIn(session(work), cache=PromptCache()))
        way = stack.enter_context(proxied(stand_in, directory, program="mitmweb", **web))
        run = way.client(work).run("Rename the twelfth item.")
        assert run.code == 0, run.err
        found = Seen(way, port)
        assert wait_for(lambda: way.proxy.local("/api/stats")["requests"] == len(found.bills))
        ledger(way, len(found.bills))  # is written a moment later
        yield found


def test_the_status_page_has_what_was_billed(seen: Seen) -> None:
    stats = seen.way.proxy.local("/api/stats")
    assert stats["units_paid"] == pytest.approx(seen.units, abs=0.2)
    (deployment,) = stats["deployments"].values()
    billed = deployment["billed"]
    assert billed["uncached"] == sum(bill["input_tokens"] for bill in seen.bills)
    assert billed["cache_read"] == sum(bill["cache_read_input_tokens"] for bill in seen.bills)
    assert billed["output"] == sum(bill["output_tokens"] for bill in seen.bills)
    requests = seen.way.proxy.local("/api/requests")["requests"]
    assert [one["billed"]["output"] for one in reversed(requests)] == [bill["output_tokens"] for bill in seen.bills]


def test_the_report_has_what_was_billed(seen: Seen) -> None:
    total = seen.script("report_savings", "--state-dir", str(seen.way.directory / "state"))["total"]
    assert total["requests"] == len(seen.bills)
    assert total["paid_units"] + total["output_units"] == pytest.approx(seen.units)  # input and output
    assert total["billed_requests"] == len(seen.bills)
    assert total["saved_units"] > 0
    stats = seen.way.proxy.local("/api/stats")
    assert stats["units_saved"] == pytest.approx(total["saved_units"], rel=0.02, abs=1.0)


def test_the_doctor_sees_that_requests_were_made_smaller(seen: Seen) -> None:
    document = seen.script("doctor_checks", "--offline", "--state-dir", str(seen.way.directory / "state"))
    (finding,) = [check for check in document["checks"] if "hour" in check["name"] or "traffic" in check["name"]]
    assert finding["verdict"] == "ok", finding
    rewritten = seen.way.proxy.local("/api/stats")["rewritten"]
    assert finding["detail"].startswith(f"{len(seen.bills)} requests, {rewritten} made smaller by ")


def test_each_flow_says_what_was_done_to_it(seen: Seen) -> None:
    flows = seen.flows()
    assert len(flows) == len(seen.bills)
    comments = [flow["comment"] for flow in flows]
    assert comments[-1].startswith("rewritten: ")
    stats = seen.way.proxy.local("/api/stats")
    removed = [int(one.split()[1].replace(",", "")) for one in comments if one.startswith("rewritten: ")]
    assert sum(removed) == stats["tokens_removed"]
    assert len(removed) == stats["rewritten"]


def test_the_view_opens_by_itself_and_shows_both_texts(seen: Seen) -> None:
    last = seen.flows()[-1]
    shown = seen.web(f"/flows/{last['id']}/request/content/auto.json?lines=100000")
    assert shown["view_name"] == "Foundry-Rewrite"
    text = shown["text"]
    assert "tool results went in fewer tokens" in text
    assert "as shown above" in text
    other = seen.web(f"/flows/{last['id']}/request/content/Foundry-Conversation.json?lines=100000")
    assert "Rename the twelfth item." in other["text"]


def test_commands_can_be_given(seen: Seen) -> None:
    answer = seen.web("/commands/foundry.mode", {"arguments": []})
    assert answer["value"] == "balanced"

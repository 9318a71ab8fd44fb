from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from mitmproxy import http
from mitmproxy.exceptions import CommandError
from mitmproxy.test import taddons, tflow

from tests.web_view.flows import made_flow, rewritten
from web_view import Commands, WebView

SECRET = "made-up-secret"


class Asked:
    """What the commands ask of the addon."""

    def __init__(self) -> None:
        self.modes: list[tuple[str, bool]] = []

    def stats(self) -> dict[str, object]:
        return {"mode": "balanced", "requests": 3}

    def set_mode(self, mode: str, now: bool) -> str:
        if mode == "fast":
            raise ValueError("fast is not possible")
        self.modes.append((mode, now))
        return f"{mode}, then."


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def web_view() -> WebView:
    return WebView()


@pytest.fixture
def context(web_view: WebView, asked: Asked) -> Iterator[taddons.context]:
    with taddons.context(Commands(web_view.pairs, asked.stats, asked.set_mode)) as tctx:
        yield tctx


def treated(web_view: WebView) -> http.HTTPFlow:
    before, treatment = rewritten()
    flow = made_flow(before, x_api_key=SECRET, authorization=f"Bearer {SECRET}", cookie=SECRET, user_agent="made-up/1")
    web_view.treated(flow, treatment, 1.5)
    flow.request.content = treatment.body
    return flow


def test_stats(context: taddons.context) -> None:
    assert json.loads(context.master.commands.execute("foundry.stats"))["requests"] == 3


def test_the_mode_is_shown_and_changed(context: taddons.context, asked: Asked) -> None:
    execute = context.master.commands.execute
    assert execute("foundry.mode") == "balanced"
    assert execute("foundry.mode lossless") == "lossless, then."
    assert execute("foundry.mode off now") == "off, then."
    assert asked.modes == [("lossless", False), ("off", True)]


@pytest.mark.parametrize(("words", "said"), [("fast", "fast is not possible"), ("off soon", "'soon' is not possible")])
def test_what_is_not_possible_is_refused_in_a_line(words: str, said: str, context: taddons.context) -> None:
    with pytest.raises(CommandError, match=said):
        context.master.commands.execute(f"foundry.mode {words}")


def test_each_result_is_explained(context: taddons.context, web_view: WebView) -> None:
    lines = context.master.commands.call("foundry.explain", [treated(web_view)]).split("\n")
    assert lines[0].startswith("rewritten: ")
    assert lines[1].startswith("1. Read /src/a.py: ")
    assert lines[1].endswith(" tokens")
    assert lines[2] == "2. Bash cat b c: as it came"


def test_of_other_flows_there_is_nothing_to_explain(context: taddons.context, web_view: WebView) -> None:
    call = context.master.commands.call
    assert "not a request to Foundry" in call("foundry.explain", [made_flow(b"{}"), tflow.ttcpflow()])
    assert call("foundry.explain", []) == "no flow is chosen"
    flow = treated(web_view)
    web_view.pairs.drop(flow.id)
    assert call("foundry.explain", [flow]) == flow.comment


def test_both_bodies_go_into_a_file_without_credentials(
    context: taddons.context, web_view: WebView, tmp_path: Path
) -> None:
    flow = treated(web_view)
    file = tmp_path / "pair.json"
    assert "holds the conversation" in context.master.commands.call("foundry.export", [flow], str(file))
    text = file.read_text(encoding="utf-8")
    document = json.loads(text)
    assert SECRET not in text
    assert ["user-agent", "made-up/1"] in document["headers"]
    assert ["x-api-key", "(left out)"] in document["headers"]
    assert document["path"] == "/anthropic/v1/messages"
    assert document["after"].encode() == flow.request.content
    assert len(document["before"]) > len(document["after"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_cannot_be_exported_is_refused_in_a_line(
    context: taddons.context, web_view: WebView, tmp_path: Path
) -> None:
    call = context.master.commands.call
    flow = treated(web_view)
    with pytest.raises(CommandError, match="choose one flow"):
        call("foundry.export", [flow, flow], str(tmp_path / "a"))
    with pytest.raises(CommandError, match="was not rewritten"):
        call("foundry.export", [made_flow(b"{}")], str(tmp_path / "a"))
    with pytest.raises(CommandError, match="cannot be written"):
        call("foundry.export", [flow], str(tmp_path / "none" / "a"))

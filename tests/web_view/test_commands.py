from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from mitmproxy import http
from mitmproxy.exceptions import CommandError
from mitmproxy.test import taddons, tflow

from rewriting.treatment import Treatment
from tests.compression_engine.bodies import call, result
from tests.web_view.flows import brought_back, made_flow, rewritten
from web_view import Commands, WebView

NO_WAY = "no way was found to write it shorter, or it had gone out so before"


class Asked:
    """What the commands ask of the addon."""

    def __init__(self) -> None:
        self.modes: list[tuple[str, bool]] = []

    def stats(self) -> dict[str, object]:
        return {"mode": "balanced", "requests": 3, "outcomes": {"rewritten": 3}}

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
    flow = made_flow(before)
    web_view.treated(flow, treatment, 1.5)
    flow.request.content = treatment.body
    return flow


def test_stats(context: taddons.context) -> None:
    lines = context.master.commands.execute("foundry.stats")
    assert lines == ["mode: balanced", "requests: 3", 'outcomes: {"rewritten": 3}']


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
    outcome, first, second, third = context.master.commands.call("foundry.explain", [treated(web_view)])
    assert outcome.startswith("rewritten: ")
    assert first.startswith("1. Read /src/a.py: numbered-file, ")
    assert first.endswith(" tokens")
    assert second == "2. Bash cat b c: as it came, 5 characters: " + NO_WAY
    assert third.startswith("3. Read /src/a.py: numbered-file+history, ")


def test_why_nothing_was_done_is_explained(context: taddons.context, web_view: WebView) -> None:
    made = call("toolu_1", "Bash", command="a"), call("toolu_2", "Bash", command="b\ud800")
    failed, forged = result("toolu_1", "failed", is_error=True), result("toolu_2", "[view 417203: repeats counted]\nx")
    before, treatment = rewritten([made[0], failed, made[1], forged])
    assert treatment.outcome == "nothing-to-do"
    flow = made_flow(before)
    web_view.treated(flow, treatment, 1.0)
    assert context.master.commands.call("foundry.explain", [flow])[1:] == [
        "1. Bash a: as it came, since it reports an error",
        "2. Bash b\\ud800: as it came, since it holds text of the form of our statements",
    ]


def test_what_was_brought_back_is_explained(context: taddons.context, web_view: WebView) -> None:
    before, treatment = brought_back()
    flow = made_flow(before)
    web_view.treated(flow, treatment, 1.0)
    _, stub, back = context.master.commands.call("foundry.explain", [flow])
    assert stub.startswith("1. Bash made: set-aside, ")
    assert ": brought back, " in back
    assert back.endswith(" characters")


def test_of_other_flows_there_is_nothing_to_explain(context: taddons.context, web_view: WebView) -> None:
    ask = context.master.commands.call
    unknown = "not a request to Foundry that this addon saw"
    assert ask("foundry.explain", [made_flow(b"{}"), tflow.ttcpflow()]) == [unknown, unknown]
    assert ask("foundry.explain", []) == ["no flow is chosen"]
    passed, flow = made_flow(b"\xff"), treated(web_view)
    web_view.treated(passed, Treatment("unknown-format"), 1.0)
    assert ask("foundry.explain", [passed]) == [passed.comment]
    web_view.pairs.drop(flow.id)
    comment, more = ask("foundry.explain", [flow])
    assert comment == flow.comment
    assert "the bodies are not kept" in more


def test_both_bodies_go_into_a_file(context: taddons.context, web_view: WebView, tmp_path: Path) -> None:
    flow = treated(web_view)
    file = tmp_path / "pair.json"
    assert "holds the conversation" in context.master.commands.call("foundry.export", [flow], str(file))
    assert json.loads(file.read_bytes())["after"].encode() == flow.request.content


def test_what_cannot_be_exported_is_refused_in_a_line(
    context: taddons.context, web_view: WebView, tmp_path: Path
) -> None:
    ask = context.master.commands.call
    flow = treated(web_view)
    with pytest.raises(CommandError, match="choose one flow"):
        ask("foundry.export", [flow, flow], str(tmp_path / "a"))
    with pytest.raises(CommandError, match="was not rewritten"):
        ask("foundry.export", [made_flow(b"{}")], str(tmp_path / "a"))


@pytest.mark.parametrize("path", ["none/a", ".", "/dev/null", "a\0b", "~nobody-of-this-name/a", ""])
def test_a_path_that_is_no_place_for_a_file_is_refused_in_a_line(
    path: str, context: taddons.context, web_view: WebView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandError, match=r"^foundry\.export: .* cannot be written \(.+\)$"):
        context.master.commands.call("foundry.export", [treated(web_view)], path)
    assert list(tmp_path.iterdir()) == []

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.contentviews import Metadata
from mitmproxy.test import tutils

from tests.web_view.flows import as_json, made_flow, rewritten
from web_view import WebView
from web_view.conversation_view import ConversationView
from web_view.rewrite_view import RewriteView


@pytest.fixture
def web_view() -> WebView:
    return WebView()


def treated(web_view: WebView) -> http.HTTPFlow:
    """A flow whose request has been rewritten, and is as it went."""
    before, treatment = rewritten()
    flow = made_flow(before)
    web_view.treated(flow, treatment, 1.5)
    flow.request.content = treatment.body
    return flow


def metadata(flow: http.HTTPFlow, message: http.Message | None = None) -> Metadata:
    return Metadata(flow=flow, http_message=message or flow.request)


def content(flow: http.HTTPFlow) -> bytes:
    return flow.request.content or b""


# The view of rewrites


def test_it_opens_by_itself_on_rewritten_requests_only(web_view: WebView) -> None:
    view = RewriteView(web_view.pairs)
    flow = treated(web_view)
    flow.response = tutils.tresp()
    assert view.render_priority(content(flow), metadata(flow)) > 2
    assert view.render_priority(content(flow), metadata(flow, flow.response)) < 0
    other = made_flow(content(flow))
    assert view.render_priority(content(other), metadata(other)) < 0
    assert view.render_priority(b"edited by hand", metadata(flow)) < 0
    assert view.render_priority(b"", Metadata()) < 0


def test_it_shows_each_rewritten_result_with_its_tokens_and_the_difference(web_view: WebView) -> None:
    flow = treated(web_view)
    shown = RewriteView(web_view.pairs).prettify(content(flow), metadata(flow))
    first, *results = shown.split("══ ")
    assert first.startswith("2 tool results went in fewer tokens")
    assert [one.split("\n")[0] for one in results] == ["3. Read: /src/a.py", "1. Read: /src/a.py"]
    assert "tokens\n" in results[0]
    assert "as shown above" in results[0]
    assert "-2\t" in results[1]


def test_large_results_are_shown_one_after_the_other(web_view: WebView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web_view.rewrite_view._MOST_LINES", 5)
    monkeypatch.setattr("web_view.rewrite_view._SHOWN", 20)
    monkeypatch.setattr("web_view.rewrite_view._MOST_RESULTS", 1)
    flow = treated(web_view)
    shown = RewriteView(web_view.pairs).prettify(content(flow), metadata(flow))
    assert "-- as it came\n" in shown
    assert "more characters" in shown
    assert shown.endswith("… and 1 older ones\n")


def test_what_was_not_rewritten_has_no_such_view(web_view: WebView) -> None:
    flow = made_flow(b"{}")
    with pytest.raises(ValueError, match="nothing is known"):
        RewriteView(web_view.pairs).prettify(b"{}", metadata(flow))


# The conversation


def test_the_conversation_is_readable() -> None:
    blocks = [
        {"type": "text", "text": "I look."},
        {"type": "thinking", "thinking": "Hm."},
        {"type": "tool_use", "name": "Bash", "input": {"command": "ls"}},
        {"type": "tool_result", "content": "failed", "is_error": True},
        {"type": "tool_result", "content": [{"type": "text", "text": "a\nb"}]},
        {"type": "image"},
    ]
    body = as_json({"messages": [{"role": "user", "content": "x" * 5000}, {"role": "assistant", "content": blocks}]})
    shown = ConversationView().prettify(body, metadata(made_flow(body)))
    assert "══ 1. user\n" in shown
    assert "more characters" in shown
    for line in ("I look.", "(thinks) Hm.", '→ Bash {"command": "ls"}', "← (failed) failed", "← a\nb", "(image)"):
        assert line in shown


def test_it_is_offered_for_requests_that_hold_messages_and_does_not_open_by_itself() -> None:
    flow = made_flow(b'{"messages":[]}')
    view = ConversationView()
    assert 0 < view.render_priority(content(flow), metadata(flow)) < 1
    assert view.render_priority(b"{}", metadata(flow)) < 0


@given(st.recursive(st.none() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3)))
def test_whatever_the_messages_are(value: Any) -> None:
    body = json.dumps({"messages": [value, {"content": value}, {"content": [value, {"type": value}]}]}).encode()
    assert ConversationView().prettify(body, metadata(made_flow(body)))


def test_what_is_no_conversation_is_refused() -> None:
    with pytest.raises(ValueError, match="no conversation"):
        ConversationView().prettify(b"[]", metadata(made_flow(b"[]")))

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import contentviews, http
from mitmproxy.contentviews import Metadata
from mitmproxy.test import taddons, tutils

from rewriting.treatment import Treatment
from tests.compression_engine.bodies import numbered, source_lines, turns
from tests.web_view.flows import VALUES, as_json, brought_back, made_flow, rewritten
from web_view import WebView
from web_view.conversation_view import ConversationView
from web_view.rewrite_view import RewriteView

REWRITTEN = rewritten()


@pytest.fixture
def web_view() -> WebView:
    return WebView()


def treated(web_view: WebView, before: bytes = REWRITTEN[0], treatment: Treatment = REWRITTEN[1]) -> http.HTTPFlow:
    """A flow whose request has been rewritten, and is as it went."""
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


def shown(web_view: WebView, flow: http.HTTPFlow) -> str:
    return RewriteView(web_view.pairs).prettify(content(flow), metadata(flow))


def test_it_shows_each_rewritten_result_with_its_tokens_and_the_difference(web_view: WebView) -> None:
    heading, *results = shown(web_view, treated(web_view)).split("══ ")
    assert heading.startswith("2 tool results went in fewer tokens: ")
    assert [one.split("\n")[0] for one in results] == ["3. Read /src/a.py", "1. Read /src/a.py"]
    assert all(" tokens\n   line numbers are not compared\n" in one for one in results)
    assert "\n+[lines 2-60 as shown above]\n" in results[0]
    assert "\n-2\t" in results[0]
    assert "\n+[view " in results[1]
    assert "\n-" not in results[1], "only numbers were left out"


def test_it_shows_what_was_brought_back(web_view: WebView) -> None:
    before, treatment = brought_back()
    heading, back, stub = shown(web_view, treated(web_view, before, treatment)).split("══ ")
    assert heading.startswith("1 tool result went in fewer tokens: ")
    assert "\n1 tool result brought back.\n" in heading
    assert "   brought back; " in back
    assert "\n-File does not exist." in back
    assert "   set-aside; " in stub
    assert "\n+[set aside " in stub


def test_beyond_so_many_lines_the_beginnings_are_shown(web_view: WebView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web_view.rewrite_view._MOST_LINES", 70)
    monkeypatch.setattr("web_view.rewrite_view._SHOWN", 20)
    _, newest, oldest = shown(web_view, treated(web_view)).split("══ ")
    assert "@@ " in newest
    assert "@@ " not in oldest
    assert "-- as it came\n" in oldest
    assert "\n… " in oldest
    assert oldest.count(" more characters\n") == 2


def test_of_many_results_the_newest_are_shown(web_view: WebView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web_view.rewrite_view._MOST_RESULTS", 1)
    assert shown(web_view, treated(web_view)).endswith("… and 1 older ones\n")


def test_where_nothing_is_known_it_says_so_without_a_traceback(web_view: WebView) -> None:
    contentviews.add(RewriteView(web_view.pairs))
    flow = made_flow(b"{}")
    with taddons.context():
        result = contentviews.prettify_message(flow.request, flow, "Foundry-Rewrite")
    assert result.syntax_highlight == "none"
    assert result.text.startswith("Nothing is known of how this came")


def test_lone_surrogates_can_be_shown(web_view: WebView) -> None:
    text = "\n".join(["\ud800", *source_lines(60)])
    messages = turns(("Read", {"file_path": "/\udfff"}, numbered(text.split("\n"))))
    flow = treated(web_view, *rewritten(messages))
    for view in (RewriteView(web_view.pairs), ConversationView()):
        text = view.prettify(content(flow), metadata(flow))
        assert "\\ud800" in text
        assert text.encode()  # or mitmproxy's console raises


# The conversation


def test_it_is_offered_for_requests_that_hold_messages_and_does_not_open_by_itself() -> None:
    flow = made_flow(b'{"messages":[]}')
    view = ConversationView()
    assert 0 < view.render_priority(content(flow), metadata(flow)) < 0.1  # the raw view's
    assert view.render_priority(b"{}", metadata(flow)) < 0
    flow.response = tutils.tresp()
    assert view.render_priority(content(flow), metadata(flow, flow.response)) < 0


def test_the_conversation_is_shown_or_that_there_is_none() -> None:
    flow = made_flow(b"")
    view = ConversationView()
    assert "══ 1. user\nHello.\n" in view.prettify(b'{"input": "Hello."}', metadata(flow))
    assert view.prettify(b"[]", metadata(flow)) == "No conversation stands in this body.\n"


@given(st.binary(max_size=40) | VALUES.map(as_json) | VALUES.map(lambda value: as_json({"messages": value})))
def test_neither_view_raises_whatever_the_body_is(body: bytes) -> None:
    web_view = WebView()
    flow = made_flow(body)
    web_view.treated(flow, Treatment("rewritten", body, len(body), len(body)), 1.0)
    for view in (RewriteView(web_view.pairs), ConversationView()):
        assert isinstance(view.render_priority(body, metadata(flow)), float)
        assert view.prettify(body, metadata(flow))

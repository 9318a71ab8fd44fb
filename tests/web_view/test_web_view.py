from __future__ import annotations

from mitmproxy import contentviews
from mitmproxy.addons import view
from mitmproxy.test import taddons

from rewriting.treatment import Treatment
from tests.web_view.flows import made_flow, rewritten
from web_view import WebView


def test_it_is_on_where_flows_can_be_looked_at() -> None:
    with taddons.context() as tctx:
        assert not WebView().is_on(tctx.master)
        tctx.master.addons.add(view.View())
        assert WebView().is_on(tctx.master)


def test_a_second_load_replaces_the_views_of_the_first() -> None:
    for web_view in (WebView(), WebView()):
        web_view.register()
    found = contentviews.registry["foundry-rewrite"]
    assert found._pairs is web_view.pairs  # type: ignore[attr-defined]
    assert "foundry-conversation" in contentviews.registry


def test_bodies_are_kept_of_what_is_rewritten_only() -> None:
    web_view = WebView()
    before, treatment = rewritten()
    flow, other = made_flow(before), made_flow(before)
    web_view.treated(flow, treatment, 1.0)
    web_view.treated(other, Treatment("nothing-to-do"), 1.0)
    pair = web_view.pairs.get(flow.id)
    assert pair is not None
    assert (pair.before, pair.after, pair.changes) == (before, treatment.body, treatment.changes)
    assert web_view.pairs.get(other.id) is None
    assert flow.metadata == {"foundry": "rewritten"}, "saved flows hold no second body"

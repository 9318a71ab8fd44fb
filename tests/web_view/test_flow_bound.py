from __future__ import annotations

from mitmproxy.addons.view import View
from mitmproxy.test import taddons

from tests.web_view.flows import made_flow
from web_view import FlowBound
from web_view.marks import PASSED

_FLOW = 1_000_000


def test_the_oldest_flows_go_and_those_that_somebody_has_marked_stay() -> None:
    view, bound = View(), FlowBound(lambda: 3 * _FLOW)
    with taddons.context(view, bound):
        flows = [made_flow(b"x" * _FLOW) for _ in range(6)]
        for number, flow in enumerate(flows):
            flow.response = None
            flow.error = None
            flow.live = False
            flow.marked = {1: ":grapes:", 2: PASSED}.get(number, "")
            view.add([flow])
            bound.response(flow)
        assert [flow in view for flow in flows] == [False, True, False, False, True, True]


def test_what_alone_exceeds_the_bound_stays_until_the_next_comes() -> None:
    view, bound = View(), FlowBound(lambda: 1)
    with taddons.context(view, bound):
        for _ in range(3):
            flow = made_flow(b"x")
            flow.live = False
            view.add([flow])
            bound.error(flow)
            assert list(view) == [flow]


def test_where_nobody_looks_nothing_is_kept() -> None:
    bound = FlowBound(lambda: 1)
    with taddons.context(bound):
        bound.response(made_flow(b"x"))
    assert not bound._flows

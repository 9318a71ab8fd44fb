from __future__ import annotations

import io

import pytest
from mitmproxy.flowfilter import match
from mitmproxy.io import FlowReader, FlowWriter

from compression_engine import SET_ASIDE, Outcome, ResultChange
from outcomes import FAILED, HOLDOUT, OFF, STREAMED, UNKNOWN_FORMAT, UNREADABLE_ENCODING
from rewriting.treatment import Treatment
from tests.web_view.flows import made_flow
from web_view.marks import mark

CHANGES = (ResultChange("numbered", 1500, 200, "Read"), ResultChange(SET_ASIDE, 100, 20, "Bash"))


@pytest.mark.parametrize(
    ("treatment", "comment"),
    [
        (
            Treatment("rewritten", b"{}", 4000, 2000, CHANGES),
            "rewritten: 1,380 tokens fewer, 4,000 → 2,000 bytes; 1 result set aside; 1.5 ms",
        ),
        (
            Treatment("rewritten", b"{}", 4000, 2000, CHANGES[1:] * 2),
            "rewritten: 160 tokens fewer, 4,000 → 2,000 bytes; 2 results set aside; 1.5 ms",
        ),
        (
            Treatment("observed", None, 4000, 2000, CHANGES[:1]),
            "would have been rewritten: 1,300 tokens fewer, 4,000 → 2,000 bytes; 1.5 ms",
        ),
    ],
)
def test_what_was_saved_stands_in_the_comment(treatment: Treatment, comment: str) -> None:
    flow = made_flow(b"{}")
    mark(flow, treatment, 1.5)
    assert (flow.comment, flow.marked, flow.metadata) == (comment, "", {"foundry": treatment.outcome})


@pytest.mark.parametrize(
    ("outcome", "is_passed"),
    [
        (Outcome.NOTHING_TO_DO, False),
        (HOLDOUT, False),
        (OFF, False),
        (Outcome.NOT_UNDERSTOOD, True),
        (Outcome.STOPPED, True),
        (FAILED, True),
        (STREAMED, True),
        (UNKNOWN_FORMAT, True),
        (UNREADABLE_ENCODING, True),
    ],
)
def test_what_was_passed_though_it_was_foundrys_is_marked(outcome: str, is_passed: bool) -> None:
    flow = made_flow(b"{}")
    mark(flow, Treatment(outcome), 0.1)
    assert "as it came" in flow.comment
    assert bool(flow.marked) is is_passed


def test_the_users_own_mark_stays() -> None:
    flow = made_flow(b"{}")
    flow.marked = ":red_circle:"
    mark(flow, Treatment(FAILED), 0.1)
    assert flow.marked == ":red_circle:"


def test_what_is_noted_is_plain_and_is_saved_with_the_flow() -> None:
    flow = made_flow(b"{}")
    mark(flow, Treatment(Outcome.NOT_UNDERSTOOD), 0.1)
    assert type(flow.metadata["foundry"]) is str
    file = io.BytesIO()
    FlowWriter(file).add(flow)
    file.seek(0)
    (saved,) = FlowReader(file).stream()
    assert (saved.comment, saved.marked, saved.metadata) == (flow.comment, ":warning:", {"foundry": "not-understood"})
    assert all(match(f"~{what}", saved) for what in ("meta not-understood", "comment passed", "marked"))

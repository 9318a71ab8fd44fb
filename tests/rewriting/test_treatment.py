from __future__ import annotations

import bz2
import gzip
import logging
from collections.abc import AsyncIterator

import pytest
from mitmproxy.http import Request
from mitmproxy.test import tutils

from billing.entry import Change
from compression_engine import SET_ASIDE, Engine, Outcome, ResultChange, Rewrite, WireFormat
from conversations import Conversations, Decision, MemoryStore, Rewriting, Terms
from notices import Notices
from rewriting.engine_worker import EngineWorker
from rewriting.request_content import MOST_BYTES
from rewriting.treatment import Treatment, treat
from tests.compression_engine.bodies import body

STUB, ASIDE = ResultChange("stub", 9, 6), ResultChange(SET_ASIDE, 9, 6)
FORMAT = WireFormat.ANTHROPIC_MESSAGES


class _Engine(Engine):
    def rewrite_if_quick(self, body: bytes, *_: object) -> Rewrite:
        if body == b"bad":
            raise ValueError
        if body == b"dull":
            return Rewrite(body, Outcome.NOTHING_TO_DO)
        if body == b"part":
            problems = frozenset({"IndexError", "KeyError"})
            return Rewrite(body[1:], Outcome.REWRITTEN, (STUB,), problems)
        if body == b"none":
            return Rewrite(body, Outcome.NOTHING_TO_DO, problems=frozenset({"TypeError"}))
        return Rewrite(body[1:], Outcome.REWRITTEN, (ASIDE, STUB, ASIDE) if body == b"aside" else (STUB,))


@pytest.fixture
async def engine() -> AsyncIterator[EngineWorker]:
    worker = EngineWorker(_Engine(), 60.0)
    yield worker
    worker.close()


def _decision(*, is_measured: bool = False) -> Decision:
    conversations = Conversations(MemoryStore())
    decision = Decision(conversations, conversations, Terms(Rewriting.LOSSLESS))
    decision.is_measured = is_measured
    return decision


def _request(content: bytes | None, encoding: bytes | None = None) -> Request:
    headers = ((b"content-encoding", encoding),) if encoding else ()
    return tutils.treq(content=content, headers=headers)


@pytest.mark.parametrize(
    ("request_", "is_measured", "expected"),
    [
        (_request(b"body"), False, Treatment("rewritten", b"ody", 4, 3, (STUB,))),
        (_request(b"body"), True, Treatment("observed", None, 4, 3, (STUB,))),
        (_request(gzip.compress(b"body"), b"gzip"), False, Treatment("rewritten", b"ody", 4, 3, (STUB,))),
        (_request(b"aside"), False, Treatment("rewritten", b"side", 5, 4, (ASIDE, STUB, ASIDE))),
        (_request(b"dull"), False, Treatment("nothing-to-do", None, 4, 4)),
        (_request(b"bad"), False, Treatment("failed", None, 3, 3)),
        (_request(None), False, Treatment("streamed")),
        (_request(b"body", b"snappy"), False, Treatment("unreadable-encoding")),
        (_request(b"body", b"gzip"), False, Treatment("unreadable-encoding")),
        (_request(b"body", b"utf-8"), False, Treatment("unreadable-encoding")),
        (_request(bz2.compress(b"body"), b"bz2"), False, Treatment("unreadable-encoding")),
        (_request(gzip.compress(b"body") * 2, b"gzip"), False, Treatment("unreadable-encoding")),
        (_request(b" " * (MOST_BYTES + 1)), False, Treatment("too-large")),
        (_request(gzip.compress(b" " * (MOST_BYTES + 1), 1), b"gzip"), False, Treatment("too-large")),
    ],
)
async def test_outcomes(request_: Request, is_measured: bool, expected: Treatment, engine: EngineWorker) -> None:
    before = request_.copy()
    assert await treat(request_, FORMAT, _decision(is_measured=is_measured), engine, Notices()) == expected
    assert request_.get_state() == before.get_state()


async def test_mistakes_of_the_engine_are_told_of_once_and_cost_no_other_result_its_rewrite(
    engine: EngineWorker, caplog: pytest.LogCaptureFixture
) -> None:
    notices = Notices()
    for _ in range(2):
        assert (await treat(_request(b"part"), FORMAT, _decision(), engine, notices)).outcome == "rewritten"
        assert (await treat(_request(b"none"), FORMAT, _decision(), engine, notices)).outcome == "nothing-to-do"
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [message.partition("(")[2].partition(")")[0] for message in told] == ["IndexError", "KeyError", "TypeError"]


def test_changes_are_added_up_by_tool_and_kind() -> None:
    changes = (ResultChange("a", 9, 6, "Read"), ResultChange("a", 10, 1, "Read"), ResultChange(SET_ASIDE, 5, 2, "Bash"))
    treatment = Treatment("rewritten", changes=changes)
    assert treatment.sums == (Change("Read", "a", 2, 19, 7), Change("Bash", SET_ASIDE, 1, 5, 2))
    assert (treatment.tokens_removed, treatment.set_aside) == (15, 1)


async def test_a_conversation_that_is_left_alone_says_so() -> None:
    engine = EngineWorker(Engine(), 60.0)
    conversations = Conversations(MemoryStore())
    terms = Terms(Rewriting.SET_ASIDE, holdout=1.0)
    request = _request(body([{"role": "user", "content": "Hello."}], model="made-up"))
    treatment = await treat(request, FORMAT, Decision(conversations, conversations, terms), engine, Notices())
    engine.close()
    assert (treatment.outcome, treatment.body, treatment.deployment) == ("holdout", None, "made-up")
    assert treatment.standing is not None
    assert treatment.standing.holdout

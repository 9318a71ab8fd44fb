from __future__ import annotations

import gzip
import logging
from collections.abc import AsyncIterator

import pytest
from mitmproxy.http import Request
from mitmproxy.test import tutils

from compression_engine import SET_ASIDE, Decide, Engine, Outcome, Policy, ResultChange, Rewrite, WireFormat
from conversations import Conversations, Decision, MemoryStore, Rewriting, Terms
from engine_worker import EngineWorker
from notices import Notices
from treatment import Treatment, treat

FORMAT = WireFormat.ANTHROPIC_MESSAGES


class _Engine(Engine):
    def rewrite(self, body: bytes, wire_format: WireFormat, decide: Decide = lambda _: Policy()) -> Rewrite:  # noqa: ARG002 - the engine's signature
        if body == b"bad":
            raise ValueError
        if body == b"dull":
            return Rewrite(body, Outcome.NOTHING_TO_DO)
        if body == b"part":
            problems = frozenset({"IndexError", "KeyError"})
            return Rewrite(body[1:], Outcome.REWRITTEN, (ResultChange("stub", 9, 6),), problems)
        if body == b"none":
            return Rewrite(body, Outcome.NOTHING_TO_DO, problems=frozenset({"TypeError"}))
        kinds = (SET_ASIDE, "stub", SET_ASIDE) if body == b"aside" else ("stub",)
        return Rewrite(body[1:], Outcome.REWRITTEN, tuple(ResultChange(kind, 9, 6) for kind in kinds))


@pytest.fixture
async def engine() -> AsyncIterator[EngineWorker]:
    worker = EngineWorker(_Engine())
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
        (_request(b"body"), False, Treatment("rewritten", b"ody", 3, 4, 3)),
        (_request(b"body"), True, Treatment("observed", None, 3, 4, 3)),
        (_request(gzip.compress(b"body"), b"gzip"), False, Treatment("rewritten", b"ody", 3, 4, 3)),
        (_request(b"aside"), False, Treatment("rewritten", b"side", 9, 5, 4, 2)),
        (_request(b"dull"), False, Treatment("nothing-to-do", None, 0, 4, 4)),
        (_request(b"bad"), False, Treatment("failed", None, 0, 3, 3)),
        (_request(None), False, Treatment("streamed")),
        (_request(b"body", b"snappy"), False, Treatment("unreadable-encoding")),
        (_request(b"body", b"gzip"), False, Treatment("unreadable-encoding")),
        (_request(b"body", b"utf-8"), False, Treatment("unreadable-encoding")),
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

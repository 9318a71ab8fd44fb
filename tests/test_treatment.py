from __future__ import annotations

import gzip
import logging
from collections.abc import AsyncIterator

import pytest
from mitmproxy.http import Request
from mitmproxy.test import tutils

from compression_engine import Engine, Outcome, ResultChange, Rewrite, WireFormat
from engine_worker import EngineWorker
from foundry_options import Mode
from notices import Notices
from treatment import Treatment, treat

FORMAT = WireFormat.ANTHROPIC_MESSAGES


class _Engine(Engine):
    def rewrite(self, body: bytes, wire_format: WireFormat) -> Rewrite:  # noqa: ARG002 - the engine's signature
        if body == b"bad":
            raise ValueError
        if body == b"dull":
            return Rewrite(body, Outcome.NOTHING_TO_DO)
        if body == b"part":
            problems = frozenset({"IndexError", "KeyError"})
            return Rewrite(body[1:], Outcome.REWRITTEN, (ResultChange("stub", 9, 6),), problems)
        if body == b"none":
            return Rewrite(body, Outcome.NOTHING_TO_DO, problems=frozenset({"TypeError"}))
        return Rewrite(body[1:], Outcome.REWRITTEN, (ResultChange("stub", 9, 6),))


@pytest.fixture
async def engine() -> AsyncIterator[EngineWorker]:
    worker = EngineWorker(_Engine())
    yield worker
    worker.close()


def _request(content: bytes | None, encoding: bytes | None = None) -> Request:
    headers = ((b"content-encoding", encoding),) if encoding else ()
    return tutils.treq(content=content, headers=headers)


@pytest.mark.parametrize(
    ("request_", "mode", "expected"),
    [
        (_request(b"body"), Mode.LOSSLESS, Treatment("rewritten", b"ody", 3, 4, 3)),
        (_request(b"body"), Mode.OBSERVE, Treatment("observed", None, 3, 4, 3)),
        (_request(gzip.compress(b"body"), b"gzip"), Mode.LOSSLESS, Treatment("rewritten", b"ody", 3, 4, 3)),
        (_request(b"dull"), Mode.LOSSLESS, Treatment("nothing-to-do", None, 0, 4, 4)),
        (_request(b"bad"), Mode.LOSSLESS, Treatment("failed", None, 0, 3, 3)),
        (_request(None), Mode.LOSSLESS, Treatment("streamed")),
        (_request(b"body", b"snappy"), Mode.LOSSLESS, Treatment("unreadable-encoding")),
        (_request(b"body", b"gzip"), Mode.LOSSLESS, Treatment("unreadable-encoding")),
        (_request(b"body", b"utf-8"), Mode.LOSSLESS, Treatment("unreadable-encoding")),
    ],
)
async def test_outcomes(request_: Request, mode: Mode, expected: Treatment, engine: EngineWorker) -> None:
    before = request_.copy()
    assert await treat(request_, FORMAT, mode, engine, Notices()) == expected
    assert request_.get_state() == before.get_state()


async def test_mistakes_of_the_engine_are_told_of_once_and_cost_no_other_result_its_rewrite(
    engine: EngineWorker, caplog: pytest.LogCaptureFixture
) -> None:
    notices = Notices()
    for _ in range(2):
        assert (await treat(_request(b"part"), FORMAT, Mode.LOSSLESS, engine, notices)).outcome == "rewritten"
        assert (await treat(_request(b"none"), FORMAT, Mode.LOSSLESS, engine, notices)).outcome == "nothing-to-do"
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [message.partition("(")[2].partition(")")[0] for message in told] == ["IndexError", "KeyError", "TypeError"]

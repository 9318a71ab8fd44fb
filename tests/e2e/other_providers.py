"""A stand-in for others that serve Claude, and the way to it through a real mitmdump."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import provider_hosts
from demo.answers import Answer, Refusal, events, not_found
from demo.prompt_cache import BYTES_PER_TOKEN
from demo.stand_in import Request, Script, StandIn
from tests.billing.answers import aws_frame
from tests.e2e.mitmdump import PROJECT
from tests.e2e.route import Route, proxied

__all__ = ["EVENT_STREAM", "HOSTS", "ProviderStandIn", "other_provider"]

EVENT_STREAM = "application/vnd.amazon.eventstream"
HOSTS = tuple(host for name in provider_hosts.PROVIDERS for host in provider_hosts.hosts(name))
"""Every host of theirs."""

_COUNTS = re.compile(r"/v1/messages/count_tokens|.*/models/count-tokens:rawPredict")
_ASKS = re.compile(r"/v1/messages|.*/models/[^/]+:(?:rawPredict|streamRawPredict)|/model/[^/]+/invoke(?:-with-.*)?")


class ProviderStandIn(StandIn):
    """Answers in the form of the provider whose path is asked for."""

    def __init__(self, script: Script) -> None:
        super().__init__(script, HOSTS)

    def elsewhere(self, request: Request) -> Refusal | dict[str, Any] | Iterable[bytes]:
        path = request.path.partition("?")[0]
        if _COUNTS.fullmatch(path):
            return {"input_tokens": max(1, len(request.plain_body) // BYTES_PER_TOKEN)}
        if not _ASKS.fullmatch(path):
            return not_found()
        answer = self.answer(request)
        if isinstance(answer, Refusal):
            return answer
        reply = self.reply(answer, request)
        # What is asked for stands in the path, except on Anthropic's own.
        reply["model"] = reply["model"] or "claude-sonnet-4-5-20250929"
        if path.endswith("/invoke-with-response-stream"):
            return self._slowly((aws_frame(_chunk(event)) for event in events(reply)), answer)
        is_stream = path.endswith(":streamRawPredict") or (path == "/v1/messages" and request.json.get("stream"))
        return self._slowly(events(reply), answer) if is_stream else reply

    def _slowly(self, pieces: Iterable[bytes], answer: Answer) -> Iterator[bytes]:
        for piece in pieces:
            if answer.pause and self._server.stopping.wait(answer.pause):
                return
            yield piece

    def stream_type(self, request: Request) -> str:
        is_framed = request.path.endswith("/invoke-with-response-stream")
        return EVENT_STREAM if is_framed else super().stream_type(request)


def _chunk(event: bytes) -> bytes:
    """A server-sent event as Bedrock has it in a frame."""
    data = event.split(b"data: ", 1)[1].strip()
    return json.dumps({"bytes": base64.b64encode(data).decode(), "p": "abcdefghij"}).encode()


@contextmanager
def other_provider(script: Script, directory: Path, **options: str) -> Iterator[Route]:
    """Start the stand-in and a mitmdump with `options` that leads every host to it, both in `directory`."""
    redirect = str(PROJECT / "tests/e2e/harness/to_stand_in.py")
    with (
        ProviderStandIn(script) as stand_in,
        proxied(stand_in, directory, addon=True, redirect=redirect, **options) as way,
    ):
        yield way

"""Rewrites requests as the options say: the engine, what is remembered of conversations, and what joins the two."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from mitmproxy.http import Request

import host_rules
from compression_engine import Engine, Outcome, Setting, WireFormat
from configuring.foundry_options import Settings
from configuring.possible_values import Mode
from conversations import (
    LONG_WINDOW,
    Conversations,
    Decision,
    FailsafeStore,
    MemoryStore,
    RedisStore,
    Rewriting,
    Sent,
    SharedStore,
    SQLiteStore,
    Terms,
    steady_clock,
)
from host_rules import Endpoint
from notices import Notices
from outcomes import OFF
from rewriting.engine_process import EngineProcess
from rewriting.engine_worker import EngineWorker
from rewriting.treatment import Treatment, treat

__all__ = ["SETTLE_SECONDS", "STATE_FILE", "RequestRewriter"]

STATE_FILE = "conversations.sqlite3"
"""What is remembered of conversations, in the folder that `foundry_state_dir` names, unless a server has it."""

SETTLE_SECONDS = 1.0
"""How long the note that a request was answered waits. Until then it counts as answered, for all that is known."""

_REWRITING = {
    Mode.OFF: Rewriting.NONE,  # what went out rewritten goes on so until its cache is cold
    Mode.OBSERVE: Rewriting.NONE,
    Mode.LOSSLESS: Rewriting.LOSSLESS,
    Mode.BALANCED: Rewriting.SET_ASIDE,
}
# The context windows of models, in tokens, from the least to the most: the name of a deployment does not tell which it
# is. Claude's from Opus 4.6 and Sonnet 4.6 on have the long one, some older ones where a beta header asks for it.
_LEAST_OF_CLAUDE = 200_000
_ASKS_LONG_WINDOW = "context-1m"
# From GPT-4o to GPT-4.1 and GPT-5.4.
_LEAST_OF_OPENAI, _MOST_OF_OPENAI = 128_000, 1_050_000


class RequestRewriter:
    """What the requests of one process share. `clock`, for tests: seconds since 1970."""

    def __init__(self, settings: Settings, notices: Notices, clock: Callable[[], float] = steady_clock.now) -> None:
        self._settings = settings
        self._notices = notices
        self._engine = self._new_engine()
        self._store = FailsafeStore(self._shared_store(), self._state_unusable)
        self._conversations = Conversations(self._store, clock)
        self._answered: dict[str, Sent] = {}  # by prompt cache: the last request that was answered
        self._longer: frozenset[str] = frozenset()  # deployments of Claude that have read more than the least window
        # What would have become of those that are only looked at.
        self._observed = Conversations(MemoryStore(), clock)

    def apply(self, settings: Settings) -> None:
        """Go by other settings from now on."""
        before, self._settings = self._settings, settings
        self._engine.budget = settings.budget
        if settings.memory_bytes != before.memory_bytes:
            self._engine.close(at_once=False)
            self._engine = self._new_engine()
            self.start()
        if (settings.state_dir, settings.state_url) != (before.state_dir, before.state_url):
            self._conversations.between_requests(lambda: self._store.move(self._shared_store()))

    def start(self) -> None:
        """Start what takes a moment, so that no request waits for it."""
        self._engine.start()

    def close(self) -> None:
        """Let go of the threads, and of the file or server."""
        self._answered.clear()  # what is not known to have been answered counts as if it were
        self._engine.close()
        self._conversations.close()

    async def treat(self, request: Request, endpoint: Endpoint, session: str = "") -> tuple[Treatment, Sent | None]:
        """What is done to a request, which stays as it is; and what to say to `settle` when it has ended.

        `session` is the client's id of its session, if it has one.
        """
        settings = self._settings
        terms = Terms(
            _REWRITING[settings.mode],
            Setting(settings.recent, settings.least),
            settings.cache_lifetime,
            *_windows(request, endpoint),
            self._longer,
            host_rules.deployment(request.path),
            work=settings.work,
            holdout=settings.holdout,
            session=session,
        )
        observed = self._observed if settings.mode is Mode.OBSERVE else None
        decision = Decision(self._conversations, observed, terms, endpoint.is_billed, endpoint.is_compaction)
        treatment = await treat(request, endpoint.wire_format, decision, self._engine, self._notices)
        if settings.mode is Mode.OFF and treatment.outcome == Outcome.NOTHING_TO_DO:
            treatment = replace(treatment, outcome=OFF)
        return treatment, decision.sent

    def settle(self, sent: Sent | None, *, answered: bool) -> None:
        """Remember how a request ended: at once where it was refused, else with others of the same conversation."""
        if sent is None:
            return
        if not answered:
            self._engine.later(partial(self._conversations.settle, sent, answered=False))
            return
        if not self._answered:
            asyncio.get_running_loop().call_later(SETTLE_SECONDS, self._settle_answered)
        last = self._answered.get(sent.cache_id)
        if last is None or last.asked_at < sent.asked_at:
            self._answered[sent.cache_id] = sent

    def billed(self, endpoint: Endpoint, deployment: str, tokens: int) -> None:
        """Learn from so many input tokens of one request: what has been read fits into the deployment's window."""
        if deployment and endpoint is Endpoint.MESSAGES and tokens > _LEAST_OF_CLAUDE:
            self._longer |= {deployment}

    def _settle_answered(self) -> None:
        for sent in self._answered.values():
            self._engine.later(partial(self._conversations.settle, sent, answered=True))
        self._answered.clear()

    def _new_engine(self) -> EngineWorker:
        share = self._settings.memory_bytes // 3
        engine = Engine(share)
        # The process has conversations that are too large for the proxy, others only until they are handed over.
        return EngineWorker(engine, self._settings.budget, process=EngineProcess(2 * share, engine.adopt))

    def _shared_store(self) -> SharedStore:
        url = self._settings.state_url
        return SQLiteStore(self._settings.state_dir / STATE_FILE) if url is None else RedisStore(url)

    def _state_unusable(self, reason: str) -> None:
        self._notices.state_unusable(self._settings.state_url or self._settings.state_dir, reason)


def _windows(request: Request, endpoint: Endpoint) -> tuple[int, int]:
    """The least and the most tokens that the model of a request may be able to read, as far as its headers tell."""
    if endpoint.wire_format is not WireFormat.ANTHROPIC_MESSAGES:
        return _LEAST_OF_OPENAI, _MOST_OF_OPENAI
    asks = _ASKS_LONG_WINDOW in request.headers.get("anthropic-beta", "")
    return LONG_WINDOW if asks else _LEAST_OF_CLAUDE, LONG_WINDOW

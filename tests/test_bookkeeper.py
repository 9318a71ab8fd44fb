from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.http import Headers
from mitmproxy.test import tutils

from billing.accounts import Account
from billing.entry import Change, Ending, Entry
from billing.ledger import LEDGER_FILE, Ledger
from billing.ledger_reader import LedgerReader
from billing.usage import Usage
from bookkeeper import Bookkeeper, Pending, session_of
from compression_engine import Counts, ResultChange, tokens
from configuring.possible_values import Mode
from conversations import Standing
from host_rules import Endpoint
from rewriting.treatment import Treatment
from tests.conversations.branches import Clock
from tests.e2e.mitmdump import wait_for

SESSION = "12345678-9abc-4def-8123-456789abcdef"
HOST = "made-up.services.ai.azure.com"
LONG = 60.0
"""Seconds that nobody waits for but where something is broken, however busy the machine is."""
USAGE = {"input_tokens": 3, "cache_read_input_tokens": 70, "cache_creation_input_tokens": 20, "output_tokens": 9}
MESSAGE = {"type": "message", "model": "claude-made-up-1", "usage": USAGE}


def standing(conversation: str = "branch", warm_until: float = 2000.0) -> Standing:
    return Standing(conversation, "earlier", 12.5, is_cold=False, prefix_kept=True, moved=False, holdout=False,
                    warm_until=warm_until)  # fmt: skip


TREATMENT = Treatment(
    "rewritten",
    b"{}",
    100,
    60,
    (ResultChange("numbered", 30, 20, "Read"), ResultChange("numbered", 10, 5, "Read")),
    Counts(4, 1, 2, 1),
    "my-deployment",
    standing(),
    json.dumps({"role": "user", "content": [{"type": "text", "text": "Some words to count."}]}).encode(),
)


class Books:
    """A bookkeeper with a ledger of its own, and what it tells."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.told: list[Account] = []
        self.reports: list[str] = []
        self.path = path
        self.set_forward = 0.0  # by so many seconds, the machine's clock
        self.ledger = Ledger(path, self.reports.append, keep_days=90, keep_mb=16, clock=clock)
        self.keeper = Bookkeeper(self.ledger, self.told.append, lambda: clock.now + self.set_forward, clock)

    def note(self, treatment: Treatment = TREATMENT, endpoint: Endpoint | None = Endpoint.MESSAGES) -> Pending:
        request = tutils.treq(
            path=b"/anthropic/v1/messages", headers=((b"x-claude-code-session-id", SESSION.encode()),)
        )
        started = time.perf_counter()
        return self.keeper.note(request, HOST, endpoint, mode=Mode.BALANCED, treatment=treatment, started=started)

    def answer(self, pending: Pending, body: bytes, status: int = 200, kind: str = "application/json") -> None:
        headers = Headers(((b"content-type", kind.encode()),))
        response = tutils.tresp(status_code=status, headers=headers)
        tap = self.keeper.listen(pending, response)
        assert tap(body) == body
        assert tap(b"") == b""

    def entries(self) -> list[Entry]:
        assert self.ledger.flush(LONG)
        if not self.path.exists():
            return []
        reader = LedgerReader(self.path)
        found = list(reader.entries())
        reader.close()
        return found


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def books(tmp_path: Path, clock: Clock) -> Iterator[Books]:
    made = Books(tmp_path / LEDGER_FILE, clock)
    yield made
    made.keeper.close()
    assert not made.reports


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_a_request_is_written_down_with_what_it_billed(books: Books, clock: Clock) -> None:
    pending = books.note()
    books.answer(pending, as_json(MESSAGE))
    entry = books.keeper.end(pending)
    assert books.entries() == [entry]
    assert entry.at == pytest.approx(clock.now - entry.added_ms / 1000, abs=1e-6)
    assert entry.usage == Usage(uncached=3, cache_read=70, cache_write_5m=20, output=9)
    assert (entry.conversation, entry.follows, entry.gap, entry.session) == ("branch", "earlier", 12.5, SESSION)
    assert (entry.deployment, entry.model, entry.mode) == ("my-deployment", "claude-made-up-1", "balanced")
    assert (entry.status, entry.ending, entry.outcome) == (200, Ending.COMPLETE, "rewritten")
    assert (entry.results, entry.errors, entry.rereads, entry.recalled) == (4, 1, 2, 1)
    assert entry.changes == (Change("Read", "numbered", 2, 40, 25),)
    assert [account.entry for account in books.told] == [entry]


@pytest.mark.parametrize(
    ("status", "events", "how", "ending"),
    [
        (200, ["message_start", "message_delta", "message_stop"], {}, Ending.COMPLETE),
        (200, ["message_start"], {}, Ending.CUT),
        (200, ["message_start"], {"client_left": True, "broken": True}, Ending.CLIENT_LEFT),
        (200, ["message_start"], {"broken": True}, Ending.CUT),
        (529, [], {}, Ending.REFUSED),
    ],
)
def test_how_an_answer_ends(books: Books, status: int, events: list[str], how: dict[str, bool], ending: Ending) -> None:
    contents: dict[str, Any] = {"message_start": {"message": MESSAGE}, "message_delta": {"usage": {"output_tokens": 9}}}
    stream = b"".join(b"data: %b\n\n" % as_json({"type": kind, **contents.get(kind, {})}) for kind in events)
    pending = books.note()
    books.answer(pending, stream, status, "text/event-stream")
    entry = books.keeper.end(pending, **how)
    assert (entry.ending, entry.status) == (ending, status)
    assert (entry.usage is None) == (not events)


@pytest.mark.parametrize(("client_left", "ending"), [(True, Ending.CLIENT_LEFT), (False, Ending.UNREACHED)])
def test_a_request_without_an_answer(books: Books, client_left: bool, ending: Ending) -> None:
    entry = books.keeper.end(books.note(), client_left=client_left, broken=True)
    assert (entry.ending, entry.status, entry.usage) == (ending, 0, None)


@pytest.mark.parametrize("endpoint", [Endpoint.COUNT_TOKENS, Endpoint.INPUT_TOKENS])
def test_what_nobody_pays_for_is_not_written_down(endpoint: Endpoint, books: Books) -> None:
    pending = books.note(endpoint=endpoint)
    books.answer(pending, b'{"input_tokens": 5}')
    assert books.keeper.end(pending).endpoint == endpoint
    assert books.entries() == []
    assert books.told == []


def test_what_is_not_known_is_written_down_all_the_same(books: Books) -> None:
    entry = books.keeper.end(books.note(Treatment("unknown-format"), endpoint=None))
    assert (entry.endpoint, entry.outcome, entry.conversation, entry.deployment) == (
        "unknown",
        "unknown-format",
        "",
        "",
    )
    assert books.entries() == [entry]


async def test_what_needs_the_tokens_waits_until_they_are_counted(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_count = threading.Event()
    count = tokens.count
    monkeypatch.setattr(tokens, "count", lambda text: may_count.wait(LONG) and count(text))
    done: list[str] = []
    uncounted = replace(TREATMENT, changes=(ResultChange("numbered", "one two three", "one"),), last_message=b"")
    books.keeper.once_counted(books.note(), partial(done.append, "counted before"))
    books.keeper.once_counted(books.note(uncounted), partial(done.append, "counted meanwhile"))
    await asyncio.sleep(0.05)
    assert done == ["counted before"]
    may_count.set()
    assert await asyncio.to_thread(wait_for, lambda: len(done) == 2, LONG)
    assert done[1] == "counted meanwhile"


@pytest.mark.parametrize("ends", [Bookkeeper.close, Bookkeeper.catch_up])
async def test_what_waits_is_done_once_when_somebody_asks_and_at_the_end(
    ends: Callable[[Bookkeeper], None], books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_count = threading.Event()
    monkeypatch.setattr(tokens, "count", lambda _: may_count.wait(LONG))
    done: list[int] = []
    uncounted = replace(TREATMENT, changes=(ResultChange("numbered", "one two three", "one"),), last_message=b"")
    books.keeper.once_counted(books.note(uncounted), partial(done.append, 1))
    ends(books.keeper)
    assert done == [1]
    may_count.set()
    await asyncio.to_thread(books.keeper._counter.shutdown)  # once it has counted
    await asyncio.sleep(0)
    assert done == [1]


def test_what_is_on_its_way_when_it_moves_stands_in_the_new_ledger(books: Books, clock: Clock) -> None:
    clock.now = 1000.0
    pending, before = books.note(), books.ledger
    books.path = books.path.with_name("elsewhere.sqlite3")
    books.ledger = Ledger(books.path, books.reports.append, clock=clock)
    books.keeper.move(books.ledger)
    assert books.keeper.warm()
    assert books.entries() == []
    entry = books.keeper.end(pending)
    assert books.entries() == [entry]
    assert before.lost == 0


async def test_what_is_on_its_way_when_it_is_closed_is_told_of_all_the_same(books: Books) -> None:
    before = books.note()
    books.keeper.close()
    uncounted = (ResultChange("numbered", "one two three", "one"),)
    after = books.note(replace(TREATMENT, changes=uncounted))
    assert after.counted is None
    done: list[int] = []
    for pending in (before, after):
        books.keeper.once_counted(pending, partial(done.append, len(pending.treatment.changes)))
    await asyncio.sleep(0)
    assert done == [2, 1]


def test_a_very_long_message_is_not_counted(books: Books) -> None:
    assert books.note(replace(TREATMENT, last_message=b"x" * 200_001)).counted is None


def test_the_last_message_is_counted_on_the_side(books: Books) -> None:
    pending = books.note()
    assert pending.counted is not None
    assert pending.counted.result(LONG) > 3
    assert books.keeper.end(pending).counted == pending.counted.result()


def test_later_on_only_some_messages_are_counted(books: Books) -> None:
    counted = [books.note().counted is not None for _ in range(200)]
    assert all(counted[:40])
    assert 10 < sum(counted[40:]) < 30


def test_a_message_that_cannot_be_counted_counts_as_nothing(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: bytes) -> str:
        raise RecursionError

    monkeypatch.setattr("bookkeeper.counted_text", fail)
    pending = books.note()
    assert pending.counted is not None
    assert pending.counted.exception(LONG) is not None
    assert books.keeper.end(pending).counted == 0


def test_what_went_out_rewritten_is_warm_until_its_cache_has_expired(books: Books, clock: Clock) -> None:
    clock.now = 1000.0
    pending = books.note()
    books.answer(pending, as_json(MESSAGE))
    books.keeper.end(pending)
    books.note(Treatment("nothing-to-do", standing=standing("other")))
    books.set_forward = 10_000.0
    assert [tuple(one) for one in books.keeper.warm()] == [(2000.0, 93)]
    clock.now = 2001.0
    assert books.keeper.warm() == []
    clock.now = 1500.0
    books.keeper.forget_warm()
    assert books.keeper.warm() == []


@pytest.mark.parametrize(
    ("given", "session"),
    [(SESSION, SESSION), (SESSION.upper(), SESSION), ("", ""), ("../../etc", ""), (f"{SESSION}x", "")],
)
def test_a_session_is_a_uuid_or_nothing(given: str, session: str) -> None:
    headers = ((b"x-claude-code-session-id", given.encode()),)
    assert session_of(tutils.treq(headers=headers)) == session

"""How requests of one conversation go out, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from compression_engine import RULES_VERSION, Engine, Place, Policy, Prompt, Setting, WireFormat, rules
from conversations import Conversations, Decision, MemoryStore, Rewriting, Sent, SQLiteStore, Standing, Terms
from conversations.branch import Branch, Store
from conversations.plan import _BYTES_A_TOKEN
from tests.compression_engine.bodies import body, call, numbered, result, source_lines
from tests.conversations.branches import Clock

type Json = Any

FORMAT = WireFormat.ANTHROPIC_MESSAGES
TOOLS = [{"name": "Read"}, {"name": "Bash"}]
TERMS = Terms(Rewriting.SET_ASIDE, Setting(window=300, least=20))
LOSSLESS = replace(TERMS, rewriting=Rewriting.LOSSLESS)
OBSERVED = replace(TERMS, rewriting=Rewriting.NONE)
HOUR = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
COLD = 331.0


def session(turns: int, name: str = "") -> list[Json]:
    """Messages up to the results of so many readings."""
    messages: list[Json] = [{"role": "user", "content": f"Please look into it. {name}"}]
    for turn in range(turns):
        messages += [
            call(f"toolu_{name}{turn}", "Read", file_path=f"{turn}.py"),
            result(f"toolu_{name}{turn}", numbered(source_lines(40, f"{name}{turn}"))),
        ]
    return messages


def places(*messages: int) -> tuple[Place, ...]:
    return tuple(Place(message, 0) for message in messages)


class Proxy:
    """What decides in a proxy; `clock` and `store` may be shared."""

    def __init__(self, clock: Clock, store: Store | None = None) -> None:
        self.clock = clock
        self.store = store or MemoryStore()
        self.conversations = Conversations(self.store, clock)
        self.observed = Conversations(MemoryStore(), clock)
        self.sent: list[Sent | None] = []
        self.measured = False
        self.standing: list[Standing] = []

    def send(  # noqa: PLR0913 - what a test says of a request
        self,
        messages: Sequence[Json],
        terms: Terms = TERMS,
        *,
        answered: bool | None = True,
        is_billed: bool = True,
        mark_last: bool = True,
        gives_up: bool = False,
        **fields: Json,
    ) -> Policy:
        """The policy for a request, which is answered (True), refused (False) or not at an end (None).

        `gives_up`: it goes out as the client wrote it after all.
        """
        decision = Decision(self.conversations, self.observed, terms, is_billed)
        policies: list[Policy] = []

        def decide(prompt: Prompt) -> Policy:
            policies.append(decision(prompt))
            return policies[0]

        raw = body(messages, mark_last=mark_last, **{"tools": TOOLS, **fields})
        Engine().rewrite(raw, FORMAT, decide)
        if gives_up:
            decision.went_raw()
        self.sent.append(decision.sent)
        self.measured = decision.is_measured
        if decision.standing is not None:
            self.standing.append(decision.standing)
        if answered is not None and decision.sent is not None:
            self.conversations.settle(decision.sent, answered=answered)
        return policies[0]

    def settle(self, number: int, *, answered: bool) -> None:
        sent = self.sent[number]
        assert sent is not None
        self.conversations.settle(sent, answered=answered)


@pytest.fixture
def proxy(clock: Clock) -> Proxy:
    return Proxy(clock)


def warmed(proxy: Proxy, turns: int = 5) -> None:
    for turn in range(turns + 1):
        assert proxy.send(session(turn)) == Policy()


def test_what_is_decided_after_it_went_out_as_it_was_is_remembered_as_that(proxy: Proxy) -> None:
    """The thread was late, and the client's bytes did not wait for it."""
    warmed(proxy, 1)
    decision = Decision(proxy.conversations, proxy.observed, TERMS)
    assert not decision.went_raw()
    Engine().rewrite(body(session(2), tools=TOOLS), FORMAT, decision)
    assert decision.went_raw()
    assert proxy.send(session(3)).raw == ((0, len(session(2))),)


def test_what_has_gone_out_as_it_was_is_not_decided_twice(clock: Clock, proxy: Proxy) -> None:
    """The thread is so late that the conversation has gone on, and is written anew since."""
    warmed(proxy, 1)
    decision = Decision(proxy.conversations, proxy.observed, TERMS)
    decision.went_raw()
    raw = body(session(2), tools=TOOLS)
    Engine().rewrite(raw, FORMAT, decision)
    clock.now += COLD
    after = proxy.send(session(3))
    assert not after.raw
    rewritten: list[Policy] = []

    def decide_late(prompt: Prompt) -> Policy:
        rewritten.append(decision(prompt))
        return rewritten[0]

    Engine().rewrite(raw, FORMAT, decide_late)
    assert rewritten[0].raw == ((0, len(session(2))),)
    assert proxy.send(session(4)).up_to(len(session(3))) == after


def test_where_the_store_is_slow_nothing_is_decided_on_the_event_loop(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is slow to write would hold up everybody's streams."""

    def is_routine(turn: int) -> bool:
        found: list[bool] = []

        def decide(prompt: Prompt) -> Policy:
            found.append(Decision(proxy.conversations, proxy.observed, TERMS).is_routine(prompt))
            return Policy()

        Engine().rewrite(body(session(turn), tools=TOOLS), FORMAT, decide)
        return found[0]

    save, now = proxy.store.save, [0.0]
    monkeypatch.setattr("conversations.conversations.time.monotonic", lambda: now[0])
    warmed(proxy, 1)
    assert is_routine(2)

    def slow(branch: Branch, digests: Sequence[bytes], known: int = 0) -> bool:
        now[0] += 0.3
        return save(branch, digests, known)

    monkeypatch.setattr(proxy.store, "save", slow)
    proxy.send(session(2))
    assert not is_routine(3)
    now[0] += 60
    assert is_routine(3)


# Cold and warm


def test_old_results_are_set_aside_when_the_cache_is_cold_and_not_before(clock: Clock, proxy: Proxy) -> None:
    warmed(proxy)
    clock.now += 330
    assert proxy.send(session(6)) == Policy()
    clock.now += COLD
    assert proxy.send(session(7)) == Policy(aside=places(2, 4, 6, 8, 10))
    assert proxy.send(session(8)) == Policy(aside=places(2, 4, 6, 8, 10)), "and stays so while it is warm"


def test_each_answered_request_keeps_it_warm(clock: Clock, proxy: Proxy) -> None:
    for turn in range(9):
        assert proxy.send(session(turn)) == Policy()
        clock.now += 200


def test_with_a_lifetime_that_the_user_knows_there_is_no_margin(clock: Clock, proxy: Proxy) -> None:
    terms = replace(TERMS, lifetime=3.0)
    for turn in range(6):
        proxy.send(session(turn), terms)
    clock.now += 3.0
    assert proxy.send(session(6), terms) == Policy()
    clock.now += 3.1
    assert proxy.send(session(7), terms).aside


def test_an_hour_counts_once_it_was_asked_for(clock: Clock, proxy: Proxy) -> None:
    proxy.send(session(4), system=HOUR)
    proxy.send(session(5), system=HOUR)
    clock.now += 3900
    assert not proxy.send(session(6), system=HOUR).aside
    clock.now += 4000
    assert proxy.send(session(7), system=HOUR).aside


@pytest.mark.parametrize("back", [10.0, 100_000.0])
def test_a_clock_that_goes_back_means_warm(back: float, clock: Clock, proxy: Proxy) -> None:
    warmed(proxy)
    clock.now -= back
    assert proxy.send(session(6)) == Policy()
    clock.now += 200
    assert proxy.send(session(7)) == Policy()


def test_a_refused_request_neither_refreshes_nor_confirms(clock: Clock, proxy: Proxy) -> None:
    warmed(proxy)
    clock.now += 200
    proxy.send(session(6), answered=False)
    clock.now += 200
    first = proxy.send(session(6), answered=False)
    assert first.aside, "400 s after the last answer"
    clock.now += 1
    assert proxy.send(session(6), answered=False) == first, "a retry goes out the same"
    clock.now += 1
    assert proxy.send(session(6)) == first
    assert proxy.send(session(7)) == first


def test_a_request_whose_end_is_not_known_may_have_been_answered(clock: Clock, proxy: Proxy) -> None:
    warmed(proxy)
    clock.now += 200
    proxy.send(session(6), answered=None)
    clock.now += 200
    assert not proxy.send(session(6)).aside


def test_the_start_of_a_request_counts(clock: Clock, proxy: Proxy) -> None:
    proxy.send(session(5), answered=None)
    clock.now += COLD
    proxy.settle(0, answered=True)
    assert proxy.send(session(6)).aside


def test_a_refusal_says_nothing_of_a_parallel_request(clock: Clock, proxy: Proxy) -> None:
    warmed(proxy)
    clock.now += COLD
    first = proxy.send(session(6), answered=None)
    clock.now += 1
    proxy.send(session(6), answered=False)
    clock.now += 100
    assert proxy.send([*session(6)[:-1], result("toolu_5", "short")]) == first.up_to(11) or first.aside
    assert proxy.send(session(7)) == first


def test_retries_and_parallel_requests_of_a_warm_conversation_move_nothing(clock: Clock, proxy: Proxy) -> None:
    warmed(proxy)
    clock.now += COLD
    aside = proxy.send(session(6))
    for messages in (session(6), session(4), session(7), session(5), session(7), session(2)):
        clock.now += 10
        assert proxy.send(messages) == aside.up_to(len(messages))


def test_it_turns_cold_again_and_again(clock: Clock, proxy: Proxy) -> None:
    proxy.send(session(2))
    points = []
    for turn in range(4, 10):
        clock.now += COLD
        points.append(len(proxy.send(session(turn)).aside))
    assert points == [2, 3, 4, 5, 6, 7]


# What is known, and what is not


def test_a_conversation_that_began_without_the_proxy_goes_out_raw_until_it_is_cold(clock: Clock, proxy: Proxy) -> None:
    assert proxy.send(session(5)) == Policy(raw=((0, 10),))
    clock.now += 200
    assert proxy.send(session(6)) == Policy(raw=((0, 10),))
    clock.now += COLD
    assert proxy.send(session(7)) == Policy(aside=places(2, 4, 6, 8, 10))


def test_it_is_warm_even_if_its_first_request_is_refused(clock: Clock, proxy: Proxy) -> None:
    proxy.send(session(5), answered=False)
    clock.now += 200
    assert proxy.send(session(5)) == Policy(raw=((0, 10),))


def test_requests_that_went_past_the_proxy_may_be_cached_as_the_client_wrote_them(clock: Clock, proxy: Proxy) -> None:
    warmed(proxy, 3)
    clock.now += 60
    assert proxy.send(session(6)) == Policy(raw=((7, 12),))
    assert proxy.send(session(7)) == Policy(raw=((7, 12),))
    clock.now += COLD
    assert proxy.send(session(8)).raw == ()


def test_a_restart_without_memory_changes_nothing_that_is_raw(clock: Clock) -> None:
    assert Proxy(clock).send(session(5)) == Proxy(clock).send(session(6)).up_to(10) == Policy(raw=((0, 10),))


def test_a_restart_with_memory_changes_nothing(clock: Clock, proxy: Proxy) -> None:
    warmed(proxy)
    clock.now += COLD
    aside = proxy.send(session(6))
    assert Proxy(clock, proxy.store).send(session(7)) == aside


def test_two_proxies_that_share_a_store_take_turns(clock: Clock, proxy: Proxy) -> None:
    other = Proxy(clock, proxy.store)
    warmed(proxy)
    clock.now += COLD
    aside = other.send(session(6))
    assert aside.aside
    for turn, one in enumerate((proxy, other, proxy, other), 7):
        assert one.send(session(turn)) == aside


class Racing(MemoryStore):
    """A store in which somebody else is quicker `times` times."""

    def __init__(self, times: int = 0) -> None:
        super().__init__()
        self.times = times

    def save(self, branch: Branch, digests: Sequence[bytes], known: int = 0) -> bool:
        if self.times and branch.version:
            self.times -= 1
            policy = Policy(aside=places(2)) if self.times % 2 else Policy(aside=places(2, 4))
            assert super().save(replace(branch, policy=policy, count=self._branches[branch.id].count), ())
        return super().save(branch, digests, known)


def test_of_two_that_turn_cold_together_the_second_takes_what_the_first_chose(clock: Clock) -> None:
    store = Racing()
    proxy = Proxy(clock, store)
    warmed(proxy)
    clock.now += COLD
    store.times = 1
    assert proxy.send(session(6)) == Policy(aside=places(2, 4))
    assert proxy.send(session(7)) == Policy(aside=places(2, 4))


@pytest.mark.parametrize("terms", [TERMS, LOSSLESS, OBSERVED])
def test_where_others_are_always_quicker_the_request_goes_on_beside_them(terms: Terms, clock: Clock) -> None:
    store = Racing()
    proxy = Proxy(clock, store)
    warmed(proxy)
    store.times = 99
    policy = proxy.send(session(6), terms)
    assert policy.aside in (places(2), places(2, 4))
    assert policy.raw == (() if terms is not OBSERVED else ((11, 13),))
    store.times = 0
    clock.now += 300
    assert proxy.send(session(7), terms).up_to(11) == policy.up_to(11), "it is remembered as sent"


# Forks


def test_a_fork_and_what_it_left_both_go_out_as_before(clock: Clock, proxy: Proxy) -> None:
    warmed(proxy)
    clock.now += COLD
    aside = proxy.send(session(6))
    fork = [*session(4), {"role": "assistant", "content": "Done."}, {"role": "user", "content": "Otherwise."}]
    assert proxy.send(fork) == aside.up_to(9)
    assert proxy.send(session(7)) == aside
    assert proxy.send(fork) == aside.up_to(9)


def test_a_fork_keeps_the_common_beginning_warm(clock: Clock, proxy: Proxy) -> None:
    warmed(proxy)
    answer = [{"role": "assistant", "content": "Done."}, {"role": "user", "content": "Otherwise."}]
    fork = [*session(5), *answer]
    for _ in range(4):
        clock.now += 200
        proxy.send(fork)
        fork += answer
    assert proxy.send(session(6)) == Policy()
    assert proxy.send(session(4)) == Policy()


def test_a_fork_takes_what_another_chose_for_the_common_beginning(clock: Clock, proxy: Proxy) -> None:
    warmed(proxy)
    fork = [*session(4), {"role": "assistant", "content": "Done."}, {"role": "user", "content": "Otherwise."}]
    assert proxy.send(fork) == Policy()
    clock.now += COLD
    aside = proxy.send(session(7))
    assert aside == Policy(aside=places(2, 4, 6, 8, 10))
    clock.now += 60
    assert proxy.send(fork) == aside.up_to(9)


def test_a_side_question_with_the_same_history_harms_nothing(clock: Clock, proxy: Proxy) -> None:
    for turn in range(6):
        proxy.send(session(turn))
        proxy.send([*session(turn), {"role": "assistant", "content": "x"}, {"role": "user", "content": "Suggest."}])
    clock.now += 200
    assert proxy.send(session(3)).aside == ()
    clock.now += 200
    assert proxy.send(session(4)).aside == ()
    clock.now += COLD
    aside = proxy.send(session(6))
    assert aside == Policy(aside=places(2, 4, 6, 8))
    assert proxy.send(session(7)) == aside


def test_behind_the_point_that_the_client_went_back_to_all_may_be_set_aside(proxy: Proxy) -> None:
    warmed(proxy)
    rewritten = [*session(2), *session(7, "b")[1:]]
    policy = proxy.send(rewritten)
    assert policy.raw == ()
    assert policy.aside == places(6, 8, 10, 12, 14)
    assert proxy.send(rewritten) == policy


def test_a_resume_under_another_id_is_the_same_conversation(clock: Clock, proxy: Proxy) -> None:
    proxy.send(session(5), metadata={"user_id": "session_1"})
    clock.now += COLD
    aside = proxy.send(session(6), metadata={"user_id": "session_2"})
    assert aside.aside
    assert proxy.send(session(7), metadata={"user_id": "session_3"}) == aside


def test_a_sub_agent_is_a_conversation_of_its_own(clock: Clock, proxy: Proxy) -> None:
    warmed(proxy)
    clock.now += 300
    proxy.send(session(1, "agent"))
    clock.now += 40
    assert proxy.send(session(6)).aside, "what it asks does not keep its parent warm"
    assert not proxy.send(session(2, "agent")).aside


def test_another_conversation_that_begins_with_the_same_words_is_another(proxy: Proxy) -> None:
    warmed(proxy)
    other = [session(0)[0], *session(3, "other")[1:]]
    assert proxy.send(other) == Policy(raw=((0, 6),)), "it may have begun without the proxy"


def test_system_messages_in_between_change_nothing(clock: Clock, proxy: Proxy) -> None:
    said = {"role": "system", "content": "The date has changed."}
    proxy.send([said, *session(4)])
    proxy.send([said, *session(5), said])
    clock.now += COLD
    aside = proxy.send([said, *session(5), said, *session(6)[-2:], said])
    assert aside.aside[:2] == places(3, 5)
    assert proxy.send([said, *session(5), said, *session(6)[-2:], said, *session(7)[-2:]]) == aside


# Another head


def test_what_was_rewritten_by_the_client_is_held_back_as_anything_else(proxy: Proxy) -> None:
    warmed(proxy)
    rewritten = [*session(2), *session(7, "b")[1:]]
    assert proxy.send([*rewritten[:-2], _marked(rewritten[-2]), rewritten[-1]], mark_last=False) == Policy()
    assert proxy.send([*session(2), *session(6, "c")[1:]], replace(TERMS, window=1000)) == Policy()


def test_a_repetition_is_no_fork(clock: Clock, proxy: Proxy) -> None:
    warmed(proxy)
    for turn in (2, 5, 3):
        clock.now += 10
        proxy.send(session(turn))
    assert isinstance(proxy.store, MemoryStore)
    assert len(proxy.store._branches) == 1


@pytest.mark.parametrize(
    "change", [{"model": "other"}, {"tools": TOOLS[:1]}, {"system": [{"type": "text", "text": "Be long."}]}]
)
def test_a_prompt_that_changed_in_front_is_cold(change: dict[str, Json], clock: Clock, proxy: Proxy) -> None:
    warmed(proxy)
    aside = proxy.send(session(6), **change)
    assert aside.aside == places(2, 4, 6, 8)
    clock.now += 60
    assert proxy.send(session(7), **change) == aside
    assert proxy.send(session(6)).up_to(11) == Policy(), "and the other is as warm as before"


def test_what_went_out_behind_another_head_did_not_go_past(proxy: Proxy) -> None:
    warmed(proxy, 3)
    for turn in (4, 5, 6):
        assert proxy.send(session(turn), model="other").raw == ()
    assert proxy.send(session(7)) == Policy()


def test_the_billing_line_is_no_change(proxy: Proxy) -> None:
    for turn in range(6):
        line = {"type": "text", "text": f"x-anthropic-billing-header: cch={turn}"}
        assert proxy.send(session(turn), system=[line, {"type": "text", "text": "Be brief."}]) == Policy()


def test_a_side_call_to_another_model_keeps_nothing_warm(clock: Clock, proxy: Proxy) -> None:
    warmed(proxy)
    clock.now += 300
    proxy.send(session(5), model="small")
    proxy.send([{"role": "user", "content": "Give it a title."}])
    clock.now += 40
    assert proxy.send(session(6)).aside


# Counting tokens


def test_tokens_are_counted_of_what_the_request_would_be(clock: Clock, proxy: Proxy) -> None:
    warmed(proxy)
    for pause in (1, 299, COLD, 1):
        clock.now += pause
        counted = proxy.send(session(6), is_billed=False)
        assert proxy.sent[-1] is None
        assert counted == proxy.send(session(6))
    assert counted.aside


def test_where_it_is_only_looked_at_what_still_goes_out_rewritten_is_counted_so(clock: Clock, proxy: Proxy) -> None:
    warmed(proxy)
    clock.now += COLD
    aside = proxy.send(session(6))
    assert aside.aside
    assert proxy.send(session(6), OBSERVED, is_billed=False) == aside
    assert not proxy.measured


def test_counting_keeps_nothing_warm_and_sets_nothing_aside(clock: Clock, proxy: Proxy) -> None:
    warmed(proxy)
    clock.now += 300
    proxy.send(session(6), is_billed=False)
    clock.now += 40
    assert proxy.send(session(6), is_billed=False, tools=[]) == Policy()
    assert proxy.send(session(6)).aside


def test_counting_without_tools_finds_the_conversation(clock: Clock, proxy: Proxy) -> None:
    warmed(proxy)
    clock.now += COLD
    aside = proxy.send(session(6))
    assert proxy.send(session(6), is_billed=False, tools=[], system=[]) == aside


# Compaction


def compaction(turns: int) -> list[Json]:
    messages = session(turns)
    return [*messages[:-2], _marked(messages[-2]), messages[-1]]


def _marked(message: Json) -> Json:
    last = {**message["content"][-1], "cache_control": {"type": "ephemeral"}}
    return {**message, "content": [*message["content"][:-1], last]}


def test_a_request_for_a_summary_sets_nothing_more_aside(clock: Clock, proxy: Proxy) -> None:
    warmed(proxy)
    clock.now += COLD
    assert proxy.send(compaction(6), mark_last=False) == Policy()
    assert proxy.send(compaction(6), mark_last=False) == Policy()


def test_a_request_for_a_summary_of_a_warm_conversation_goes_out_as_before(clock: Clock, proxy: Proxy) -> None:
    warmed(proxy)
    clock.now += COLD
    aside = proxy.send(session(6))
    assert proxy.send(compaction(7), mark_last=False) == aside
    clock.now += COLD
    assert proxy.send(compaction(7), mark_last=False) == aside, "nor when it is cold"


# The window


def test_past_nine_tenths_of_the_window_nothing_more_is_set_aside(clock: Clock, proxy: Proxy) -> None:
    size = len(body(session(7), tools=TOOLS))
    warmed(proxy)
    clock.now += COLD
    narrow = replace(TERMS, window=int(size / _BYTES_A_TOKEN / 0.89))
    assert proxy.send(session(7), replace(TERMS, window=int(size / _BYTES_A_TOKEN / 0.91))) == Policy()
    clock.now += COLD
    assert proxy.send(session(7), narrow).aside


def test_past_it_what_was_set_aside_stays_so(clock: Clock, proxy: Proxy) -> None:
    warmed(proxy)
    clock.now += COLD
    aside = proxy.send(session(6))
    clock.now += COLD
    assert proxy.send(session(9), replace(TERMS, window=1000)) == aside


def test_what_no_longer_fits_is_cold_when_its_record_is_lost(proxy: Proxy) -> None:
    size = len(body(session(7), tools=TOOLS))
    assert proxy.send(session(7), replace(TERMS, window=int(size / _BYTES_A_TOKEN) - 9)).aside
    assert not Proxy(proxy.clock).send(session(7), replace(TERMS, window=int(size / _BYTES_A_TOKEN) + 9)).aside


def test_what_is_more_than_the_least_window_and_went_out_whole_has_a_longer_one(clock: Clock, proxy: Proxy) -> None:
    size = len(body(session(7), tools=TOOLS)) / _BYTES_A_TOKEN
    terms = replace(TERMS, window=int(size / 2), widest=int(size * 2))
    raw = proxy.send(session(7), terms)
    assert (raw.raw, raw.aside) == (((0, 14),), ()), "it may be in the cache as it is"
    clock.now += COLD
    aside = proxy.send(session(8), terms).aside
    assert aside
    clock.now += COLD
    assert proxy.send(session(9), terms).aside == aside, "from here on nobody knows what would fit"


def test_one_that_is_refused_since_its_record_was_lost_is_cold_after_a_while(clock: Clock, proxy: Proxy) -> None:
    """Its model has the least window, which what was set aside let it outgrow."""
    terms = replace(TERMS, window=1000, widest=10**6)
    for _ in range(3):
        assert not proxy.send(session(7), terms, answered=False).aside
        clock.now += COLD / 3
    assert proxy.send(session(7), terms).aside


def test_images_fill_no_window(clock: Clock, proxy: Proxy) -> None:
    """Their base64 is many times as long as text of as many tokens."""
    picture = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo" + "A" * 900_000}
    with_picture = [*session(7)]
    with_picture[0] = {"role": "user", "content": [{"type": "image", "source": picture}]}
    assert proxy.send(with_picture, replace(TERMS, window=20_000, widest=200_000)).raw == ((0, 14),)
    clock.now += COLD
    assert proxy.send(with_picture, replace(TERMS, window=20_000, widest=20_000)).aside


def test_where_nothing_can_be_set_aside_what_outgrows_every_window_goes_on_raw(proxy: Proxy) -> None:
    assert proxy.send(session(7), replace(TERMS, window=1000), tools=[]).raw == ((0, 14),)


# Modes


@pytest.mark.parametrize("before", [TERMS, LOSSLESS, OBSERVED])
@pytest.mark.parametrize("then", [TERMS, LOSSLESS, OBSERVED])
def test_another_mode_takes_effect_when_the_cache_is_cold(
    before: Terms, then: Terms, clock: Clock, proxy: Proxy
) -> None:
    for turn in range(5):
        proxy.send(session(turn), before)
    clock.now += COLD
    was = proxy.send(session(5), before)
    for turn in (6, 7):
        clock.now += 200
        is_ = proxy.send(session(turn), then)
        if not proxy.measured:
            assert is_.up_to(11) == (was if before is not OBSERVED else Policy(raw=((0, 11),)))
    clock.now += COLD
    now = proxy.send(session(8), then)
    assert proxy.measured == (then is OBSERVED)
    if not proxy.measured:
        assert bool(now.aside) == (then is TERMS)
        assert now.raw == ()


def test_observed_is_what_balanced_would_have_done(clock: Clock) -> None:
    balanced, observing = Proxy(clock), Proxy(clock)
    for turn in range(10):
        clock.now += COLD if turn in (4, 7) else 10
        assert observing.send(session(turn), OBSERVED) == balanced.send(session(turn))
        assert observing.measured
        assert not balanced.measured


def test_observed_of_a_conversation_that_went_out_rewritten_goes_on_so_until_it_is_cold(
    clock: Clock, proxy: Proxy
) -> None:
    warmed(proxy)
    assert proxy.send(session(6), OBSERVED) == Policy(raw=((11, 13),))
    assert not proxy.measured
    clock.now += COLD
    proxy.send(session(7), OBSERVED)
    assert proxy.measured


def test_an_empty_request_is_nothing_to_remember(proxy: Proxy) -> None:
    assert proxy.send([], mark_last=False) == Policy()
    assert proxy.sent == [None]


def test_what_is_routine_is_decided_the_same(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conversations.conversations._SLOW_SECONDS", 60.0)  # a busy machine is no slow store
    plain, quick = Proxy(clock), Proxy(clock)
    found = []
    for turn in range(12):
        clock.now += {3: COLD, 6: 200, 9: COLD}.get(turn, 5)
        expected = plain.send(session(turn))
        decision = Decision(quick.conversations, quick.observed, TERMS)

        policies: list[Policy] = []

        def decide(prompt: Prompt, decision: Decision = decision, policies: list[Policy] = policies) -> Policy:
            found.append(decision.is_routine(prompt))
            policies.append(decision(prompt))
            return policies[0]

        Engine().rewrite(body(session(turn), tools=TOOLS), FORMAT, decide)
        assert policies == [expected]
        assert decision.sent is not None
        quick.conversations.settle(decision.sent, answered=True)
    assert found == [turn not in {0, 3, 9} for turn in range(12)]


def test_places_never_come_out_of_order(clock: Clock, proxy: Proxy) -> None:
    for turn in range(12):
        clock.now += COLD if turn % 3 == 0 else 10
        aside = proxy.send([*session(3), *session(turn, "other")[1:]] if turn % 2 else session(turn)).aside
        assert all(one < other for one, other in pairwise(aside))


# What is known of a request


def test_a_request_stands_behind_the_last_one_of_its_conversation(clock: Clock, proxy: Proxy) -> None:
    proxy.send(session(1))
    clock.now += 10
    proxy.send(session(2))
    clock.now += COLD
    proxy.send(session(6))
    first, second, third = proxy.standing
    assert (first.follows, first.gap, first.is_cold, first.moved, first.prefix_kept) == ("", None, False, False, True)
    assert (second.follows, second.gap, second.is_cold, second.moved) == (first.conversation, 10, False, False)
    assert (third.follows, third.gap, third.is_cold, third.moved) == (first.conversation, COLD, True, True)
    assert second.conversation == third.conversation == first.conversation
    assert second.warm_until == first.warm_until + 10


def test_a_fork_names_the_conversation_that_it_left(clock: Clock, proxy: Proxy) -> None:
    proxy.send(session(3))
    clock.now += 5
    proxy.send([*session(2), {"role": "assistant", "content": "No."}, {"role": "user", "content": "Yes."}])
    main, fork = proxy.standing
    assert fork.follows == main.conversation != fork.conversation
    assert not fork.prefix_kept
    assert fork.gap == 5


def test_a_changed_system_prompt_is_told(proxy: Proxy) -> None:
    proxy.send(session(2))
    proxy.send(session(3), system="Other rules.")
    assert not proxy.standing[-1].prefix_kept
    assert proxy.standing[-1].follows == proxy.standing[0].conversation


# Left alone, for comparison

HELD_OUT = replace(TERMS, holdout=1.0)


def test_a_holdout_is_left_alone_from_its_first_request_to_its_last(clock: Clock, proxy: Proxy) -> None:
    proxy.send(session(1), HELD_OUT)
    for turns in range(2, 6):
        clock.now += COLD
        assert proxy.send(session(turns)).raw == ((0, 2 * turns + 1),), "even if there is no holdout any more"
    fork = [*session(2), {"role": "user", "content": "Now something else."}]
    assert proxy.send(fork).raw == ((0, len(fork)),)
    assert all(one.holdout for one in proxy.standing)
    assert not proxy.measured


def test_a_conversation_that_is_under_way_does_not_become_one(clock: Clock, proxy: Proxy) -> None:
    proxy.send(session(1))
    clock.now += COLD
    assert proxy.send(session(2), HELD_OUT) == Policy()
    assert not proxy.standing[-1].holdout


def test_a_holdout_is_as_large_as_was_asked_for_and_goes_by_session(proxy: Proxy) -> None:
    chosen = set()
    for number in range(400):
        terms = replace(TERMS, holdout=0.25, session=f"session-{number}")
        arms = set()
        for name in ("main", "helper"):
            proxy.send(session(1, f"{name}-{number}"), terms)
            arms.add(proxy.standing[-1].holdout)
        assert len(arms) == 1, "a sub-agent goes with its session"
        chosen |= {number} if arms == {True} else set()
    assert 70 < len(chosen) < 130


def test_without_a_session_the_first_message_decides(proxy: Proxy) -> None:
    terms = replace(TERMS, holdout=0.5)
    arms = []
    for number in range(40):
        proxy.send(session(1, f"{number}"), terms)
        arms.append(proxy.standing[-1].holdout)
    assert set(arms) == {True, False}


def test_what_is_set_aside_shows_in_what_moved(clock: Clock, proxy: Proxy) -> None:
    warmed(proxy)
    clock.now += COLD
    proxy.send(session(6))
    proxy.send(session(7))
    assert [one.moved for one in proxy.standing[-2:]] == [True, False]


# What goes out as the client wrote it after all


def test_what_went_out_raw_after_all_stays_so_until_it_is_cold(clock: Clock, proxy: Proxy) -> None:
    assert proxy.send(session(3)) == Policy(raw=((0, 6),))
    assert proxy.send(session(4), gives_up=True) == Policy(raw=((0, 6),))
    assert proxy.send(session(5)) == Policy(raw=((0, 9),)), "new results are written shorter again"
    clock.now += COLD
    assert proxy.send(session(6)).raw == ()


def test_so_does_all_that_was_written_shorter_before(clock: Clock, proxy: Proxy) -> None:
    """It can only be a mistake of ours: one cache is lost, and no more."""
    warmed(proxy)
    clock.now += COLD
    assert proxy.send(session(6)).aside
    proxy.send(session(7), gives_up=True)
    assert proxy.send(session(8)) == Policy(raw=((0, 15),))


def test_what_does_not_fit_as_it_is_may_not_go_out_as_it_is(proxy: Proxy) -> None:
    for window, may in ((10**6, True), (1000, False)):
        decision = Decision(proxy.conversations, None, replace(TERMS, window=window))
        assert not decision.may_go_raw(), "nothing is known yet"
        Engine().rewrite(body(session(9, f"{may}"), tools=TOOLS), FORMAT, decision)
        assert decision.may_go_raw() == may


def test_whether_the_service_may_hold_what_is_ours(clock: Clock, proxy: Proxy) -> None:
    proxy.send(session(3), gives_up=True)
    proxy.send(session(4))
    assert [one.is_ours for one in proxy.standing] == [False, False], "the first went out raw"
    proxy.send(session(5))
    assert proxy.standing[-1].is_ours
    clock.now += COLD
    proxy.send(session(6))
    assert not proxy.standing[-1].is_ours


def test_the_cap_on_work_changes_when_the_cache_is_cold(clock: Clock, proxy: Proxy) -> None:
    proxy.send(session(1), LOSSLESS)
    assert proxy.send(session(2), replace(LOSSLESS, work=5)).work == Policy().work
    clock.now += COLD
    assert proxy.send(session(3), replace(LOSSLESS, work=5)).work == 5


# Versions


@pytest.mark.parametrize("make", [lambda _: MemoryStore(), SQLiteStore])
def test_what_a_later_version_wrote_is_not_known_to_an_earlier_one(
    make: Callable[[Path], Store], path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two proxies behind one address one is updated: the cache breaks once, and not with every hop."""
    store = make(path)
    later = RULES_VERSION + 1

    def send(turns: int, *, updated: bool) -> Policy:
        with monkeypatch.context() as version:
            if updated:
                version.setitem(rules.VERSIONS, later, rules.VERSIONS[RULES_VERSION])
                version.setattr(Terms, "policy", lambda _, raw=(), aside=(): Policy(raw, aside, later))
            return Proxy(clock, store).send(session(turns), LOSSLESS)

    for turns in (0, 1):
        assert send(turns, updated=True) == Policy(rules=later)
    by_the_earlier = Policy(raw=((0, 4),))
    assert send(2, updated=False) == by_the_earlier
    assert send(3, updated=True) == by_the_earlier
    assert send(4, updated=False) == by_the_earlier
    clock.now += COLD
    assert send(5, updated=True) == Policy(rules=later)
    store.close()

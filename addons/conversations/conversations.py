"""Decides for every request how its conversation is written, and remembers it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import NamedTuple

from compression_engine import Policy, Prompt, rules
from conversations import steady_clock
from conversations.branch import Branch, Found, Store, Wanted, new_id
from conversations.plan import Rewriting, Terms, plan
from conversations.prompt_cache import is_cold, lifetime_of

__all__ = ["Conversations", "Decision", "Sent", "Standing"]

_TRIES = 3
# A decision that took so long waited for a disk or a lock: for a while it is taken that the next one will, too.
_SLOW_SECONDS = 0.2
_SLOW_FOR_SECONDS = 60.0


class Sent(NamedTuple):
    """A request that is on its way: what it takes to note how it ended."""

    cache_id: str
    asked_at: float


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a request stands in its conversation, as far as that was known when it came.

    It goes on from the conversation `follows` (empty: from none), whose prompt cache was last used `gap` seconds before
    and `is_cold` by our reckoning. `prefix_kept`: all that the last request said is said again. `moved`: what was said
    before is written in another way. `is_ours`: the service may hold what went out rewritten. `warm_until` is when the
    cache will certainly have expired, in seconds since 1970.
    """

    conversation: str
    follows: str
    gap: float | None
    is_cold: bool
    prefix_kept: bool
    moved: bool
    holdout: bool
    warm_until: float
    is_ours: bool = False


class Conversations:
    """The conversations in a store, which one thread at a time gets to use; `clock` gives seconds since 1970."""

    def __init__(self, store: Store, clock: Callable[[], float] = steady_clock.now) -> None:
        self._store = store
        self._clock = clock
        self._lock = Lock()
        self._slow_until = 0.0  # by the monotonic clock

    def decide(self, prompt: Prompt, terms: Terms, last: Found | None = None) -> tuple[Policy, Sent, Standing]:
        """The policy for a request that is sent now, which is remembered before it goes out; and what is known of it.

        `last` is what the request follows, if that was just looked up.
        """
        with self._lock:
            started = time.monotonic()
            decided = self._decide(prompt, terms, last)
            ended = time.monotonic()
            if ended - started > _SLOW_SECONDS:
                self._slow_until = ended + _SLOW_FOR_SECONDS
            return decided

    def _decide(self, prompt: Prompt, terms: Terms, last: Found | None) -> tuple[Policy, Sent, Standing]:
        now = self._clock()
        for _ in range(_TRIES):
            found, elsewhere = (last, last) if last else self._find(prompt, terms, now)
            last = None
            branch = plan(prompt, found, elsewhere, terms, now)
            if self._save(prompt, branch, found):
                break
        else:
            found, elsewhere, branch = self._beside(prompt, terms, now)
        standing = _standing(branch, found, elsewhere, terms, now)
        return branch.policy.up_to(prompt.count), Sent(branch.cache.id, now), standing

    def _beside(self, prompt: Prompt, terms: Terms, now: float) -> tuple[Found | None, Found | None, Branch]:
        """Others change the branch all the time: the request goes on beside them, from what they did last."""
        found, elsewhere = self._find(prompt, terms, now)
        branch = plan(prompt, found, elsewhere, terms, now, is_warm=True)
        branch = replace(branch, id=new_id(), version=0)
        self._save(prompt, branch, found)
        return found, elsewhere, branch

    def followed(self, prompt: Prompt, terms: Terms) -> Found | None:
        """What the request follows, if it just goes on from the last one in a warm cache; does not wait for others.

        Nor for a network: what lies behind one is not known here.
        """
        is_slow = not self._store.is_near or time.monotonic() < self._slow_until
        if is_slow or not self._lock.acquire(blocking=False):
            return None
        try:
            found = self._look_up(prompt, prompt.head)
        finally:
            self._lock.release()
        if found is None or not _is_next(prompt, found) or is_cold(found.branch.cache, self._clock(), terms.lifetime):
            return None
        return found

    def preview(self, prompt: Prompt, terms: Terms) -> Policy:
        """The policy that the same messages would have, were they sent now; nothing is remembered."""
        now = self._clock()
        with self._lock:
            found = self._find_behind(prompt, None, terms, now)
        if found is not None and found.branch.policy.aside:
            prompt.is_kept = False  # a request that is only counted cannot say so, and those before it did
        return plan(prompt, found, found, terms, now).policy.up_to(prompt.count)

    def settle(self, sent: Sent, *, answered: bool) -> None:
        """Note how a request ended. One that was refused does not keep the cache alive."""
        with self._lock:
            self._store.settle(sent.cache_id, sent.asked_at, answered=answered)

    def went_raw(self, prompt: Prompt, sent: Sent) -> None:
        """Note that a request goes out as the client wrote it, whatever was decided."""
        with self._lock:
            for _ in range(_TRIES):
                found = self._look_up(prompt, prompt.head, lambda one: one.cache.id == sent.cache_id)
                if found is None:
                    return
                raw = found.branch.policy._replace(raw=((0, found.known),), aside=())
                branch = replace(found.branch, policy=raw, version=found.branch.version + 1)
                if self._store.save(branch, prompt.digests[: found.known], found.known):
                    return

    def between_requests(self, act: Callable[[], None]) -> None:
        """Do something to the store while no request uses it."""
        with self._lock:
            act()

    def close(self) -> None:
        """Let go of the store."""
        with self._lock:
            self._store.close()

    def _find(self, prompt: Prompt, terms: Terms, now: float) -> tuple[Found | None, Found | None]:
        """The branch of these messages behind the same head, and behind any."""
        found = self._find_behind(prompt, prompt.head, terms, now)
        is_next = found is not None and _is_next(prompt, found)
        return found, found if is_next else self._find_behind(prompt, None, terms, now)

    def _find_behind(self, prompt: Prompt, head: bytes | None, terms: Terms, now: float) -> Found | None:
        """The branch that has most of the messages; of one that is warm fewer will do."""
        found = self._look_up(prompt, head)
        if found is not None and is_cold(found.branch.cache, now, terms.lifetime):
            warm = self._look_up(prompt, head, lambda one: not is_cold(one.cache, now, terms.lifetime))
            found = warm or found
        if found is not None and found.known == 1 and not found.goes_on:
            return None  # another conversation that began with the same words
        return found

    def _look_up(self, prompt: Prompt, head: bytes | None, wanted: Wanted = lambda _: True) -> Found | None:
        """The branch in the store, unless a later version wrote it by rules that nobody could go on by here."""
        return self._store.find(prompt.digests, head, lambda one: one.policy.rules in rules.VERSIONS and wanted(one))

    def _save(self, prompt: Prompt, branch: Branch, found: Found | None) -> bool:
        """Remember a branch, a new one by the message that it forks from, too."""
        known = found.known - (found.branch.id != branch.id) if found else 0
        return self._store.save(branch, prompt.digests, known)


def _standing(branch: Branch, found: Found | None, elsewhere: Found | None, terms: Terms, now: float) -> Standing:
    last = found or elsewhere
    before = last.branch if last else None
    used = before.cache.last_sent if before else None
    return Standing(
        branch.id,
        before.id if before else "",
        None if used is None else now - used,
        is_cold=before is not None and is_cold(before.cache, now, terms.lifetime),
        prefix_kept=last is None or (found is not None and last.goes_on),
        moved=last is not None and last.branch.policy.up_to(last.known) != branch.policy.up_to(last.known),
        holdout=branch.holdout,
        warm_until=now + lifetime_of(branch.cache, terms.lifetime),
        is_ours=found is not None and _is_ours(found) and not is_cold(found.branch.cache, now, terms.lifetime),
    )


def _is_ours(found: Found) -> bool:
    """Whether any of the messages that are known to have gone out may have gone out rewritten."""
    return found.branch.policy.raw_beginning < found.known


def _is_next(prompt: Prompt, found: Found) -> bool:
    """Whether the request follows the last one that was sent on its branch, with one answer in between."""
    return found.goes_on and prompt.answers(found.known) <= 1


@dataclass
class Decision:
    """Decides about one request: called by the engine, on its thread, with what the request says.

    Afterwards `sent` tells which request is on its way, `standing` what is known of it, and `is_measured` whether what
    the engine makes of it is only looked at, and not sent. Without `observed` nothing is only looked at.
    `is_compaction`: the path says that the client asks for a summary.
    """

    conversations: Conversations
    observed: Conversations | None
    terms: Terms
    is_billed: bool = True
    is_compaction: bool = False
    sent: Sent | None = None
    standing: Standing | None = None
    is_measured: bool = field(init=False)
    _prompt: Prompt | None = field(default=None, init=False)
    _last: Found | None = field(default=None, init=False)
    _goes_raw: bool = field(default=False, init=False)
    _fits: bool | None = field(default=None, init=False)  # as the client wrote it

    def __post_init__(self) -> None:
        """Until it is called, take it that nothing may be changed where nothing is to be."""
        self.is_measured = self.observed is not None and self.terms.rewriting is Rewriting.NONE

    def __call__(self, prompt: Prompt) -> Policy:
        """The policy for the request."""
        if not prompt.count:
            return Policy()
        if not self.is_billed:
            self.is_measured = False  # what is counted is what would go out
            return self.conversations.preview(prompt, self.terms)
        if self._goes_raw and self.sent is not None:
            return Policy(((0, prompt.count),))  # it has gone out, and others may have followed: nothing is to be noted
        if self.is_compaction:
            prompt.take_for_compaction()
        self._prompt = prompt
        policy, self.sent, self.standing = self.conversations.decide(prompt, self.terms, self._last)
        if self._goes_raw:
            self.conversations.went_raw(prompt, self.sent)
        is_raw = policy.raw_beginning == prompt.count
        if self.is_measured and self.observed is not None and is_raw and not self.standing.holdout:
            # It goes out as it came. What would have been done is played through beside it.
            return self.observed.decide(prompt, self.terms.as_if_sent())[0]
        self.is_measured = False  # a conversation that went out rewritten goes on so until its cache is cold
        return policy

    def is_routine(self, prompt: Prompt) -> bool:
        """Whether deciding takes no time."""
        if self.is_billed and prompt.count:
            self._last = self.conversations.followed(prompt, self.terms)
        return self._last is not None

    def may_go_raw(self) -> bool:
        """Whether it is known that the service holds nothing that went out rewritten: then no cache breaks.

        What only fits into the model's window because results were set aside may not.
        """
        if self._prompt is None or self.standing is None:
            return False
        if self.standing.is_ours:
            return False
        if self._fits is None:
            self._fits = not self.terms.outgrows(self._prompt)
        return self._fits

    def went_raw(self) -> bool:
        """Remember that the request goes out as the client wrote it after all.

        False where nothing was asked yet: then it is remembered once it is.
        """
        self._goes_raw = True
        if self._prompt is not None and self.sent is not None:  # else it is being decided, and the thread will see
            self.conversations.went_raw(self._prompt, self.sent)
        return self._prompt is not None or not self.is_billed

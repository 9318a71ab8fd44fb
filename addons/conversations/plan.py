"""How a conversation is written: as it went out last, or anew where its prompt cache is cold.

What is known to have gone out, goes out the same. What may have gone out past this proxy, goes out raw. Only where the
cache is cold, or where the client left behind what is cached, are old results set aside, or written out again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from enum import Enum

from compression_engine import Place, Policy, Prompt, Setting
from compression_engine.formats.images import beside_images
from conversations.branch import Branch, Cache, Found, new_id
from conversations.prompt_cache import is_cold

__all__ = ["LONG_WINDOW", "Rewriting", "Terms", "plan"]

LONG_WINDOW = 1_000_000
"""The long context window of Claude models, in tokens."""

# What is set aside stays in the client's transcript, which must not outgrow the model's window: past this share of it
# nothing more is set aside. Bytes of a body a token: what source code in JSON measures with the 4.5 and 4.6 models.
# The newest make up to a third more tokens of it; who needs more room there gets it by the client's own compaction.
_MOST_OF_WINDOW = 0.9
_BYTES_A_TOKEN = 3.5


class Rewriting(Enum):
    """What may be done to what is new in a conversation."""

    NONE = "none"
    LOSSLESS = "lossless"
    SET_ASIDE = "set aside"


@dataclass(frozen=True, slots=True)
class Terms:
    """What the user wants, and what else is known of the request.

    `lifetime` of the prompt cache in seconds, None: as each request asks. `window` of the model in tokens, the least
    that it may have unless the body asks for the long one; `widest` is the most, where that is more. The deployments in
    `longer` are known to have that; `deployment` is the one that the path names, if it does. `work` is as in a
    policy. `holdout` is the share of sessions to be left alone, `session` the client's id of this one, if it has one.
    """

    rewriting: Rewriting
    setting: Setting = field(default_factory=Setting)
    lifetime: float | None = None
    window: int = 200_000
    widest: int = 0
    longer: AbstractSet[str] = frozenset()
    deployment: str = ""
    work: int = Policy().work
    holdout: float = 0.0
    session: str = ""

    def as_if_sent(self) -> Terms:
        """The most that could be done."""
        return replace(self, rewriting=Rewriting.SET_ASIDE)

    def has_room(self, prompt: Prompt, aside: tuple[Place, ...]) -> bool:
        """Whether more may be set aside of a request of which `aside` is: as the client wrote it, it must fit.

        One that is more than the least window, with nothing set aside, fits into a longer one or else nowhere.
        """
        window = self._window(prompt)
        if not aside and _exceeds(prompt, window):
            window = self._widest(prompt)
        return not _exceeds(prompt, _MOST_OF_WINDOW * window)

    def policy(self, raw: tuple[tuple[int, int], ...] = (), aside: tuple[Place, ...] = ()) -> Policy:
        """A new one."""
        return Policy(raw, aside, work=self.work)

    def outgrows(self, prompt: Prompt) -> bool:
        """Whether the request, as the client wrote it, is more than the model can read."""
        return _exceeds(prompt, self._widest(prompt))

    def _window(self, prompt: Prompt) -> int:
        if prompt.request.asks_long_window:
            return LONG_WINDOW
        return self.window if self.longer.isdisjoint((prompt.request.model, self.deployment)) else self.widest

    def _widest(self, prompt: Prompt) -> int:
        return max(self._window(prompt), self.widest)

    def leaves_alone(self, prompt: Prompt) -> bool:
        """Whether a conversation that begins like this is one of the holdout: of one session all are, or none."""
        if not self.holdout:
            return False
        drawn = hashlib.sha256(b"holdout " + (self.session.encode() or prompt.digests[0])).digest()
        return int.from_bytes(drawn[:8]) < self.holdout * 2**64


def _exceeds(prompt: Prompt, tokens: float) -> bool:
    """Whether the request, as the client wrote it, is more than so many tokens."""
    most = tokens * _BYTES_A_TOKEN
    return len(prompt.body) > most and beside_images(prompt.body) > most


def plan(  # noqa: PLR0913 - each is a thing of its own
    prompt: Prompt, found: Found | None, elsewhere: Found | None, terms: Terms, now: float, *, is_warm: bool = False
) -> Branch:
    """The branch of a request that is sent `now`; `found` and `elsewhere` are known of it behind its head and any.

    `is_warm`: it is to be taken so, whatever the time.
    """
    last = found or elsewhere
    if last.branch.holdout if last else terms.leaves_alone(prompt):
        terms = replace(terms, rewriting=Rewriting.NONE)
    if last is None:
        return _first_seen(prompt, terms, now)
    expired = found is not None and is_cold(found.branch.cache, now, terms.lifetime) and not is_warm
    if found is None or expired or _is_out_of_reach(prompt, found):
        return _anew(prompt, last, terms, now, same=found is not None)
    return _continued(prompt, found, elsewhere, terms, now)


def _first_seen(prompt: Prompt, terms: Terms, now: float) -> Branch:
    """Nothing is known. What was answered before may be in the cache as the client sent it, and may be warm."""
    raw = _range(0, prompt.answered)
    if terms.rewriting is Rewriting.NONE:
        raw = _range(0, prompt.count)
    policy = terms.policy(raw)
    if raw and terms.rewriting is Rewriting.SET_ASIDE and terms.outgrows(prompt):
        # Only what we had set aside could have let it grow so: it never went out like this.
        aside = prompt.choose(terms.setting)
        policy = terms.policy(aside=aside) if aside else policy
    cache = Cache(new_id(), prompt.keeps, (now,), now if prompt.answered else None)
    return Branch(new_id(), prompt.head, prompt.count, cache, policy, holdout=terms.leaves_alone(prompt))


def _anew(prompt: Prompt, last: Found, terms: Terms, now: float, *, same: bool) -> Branch:
    """The cache is cold, or there is none behind this head: everything may be written as is best now."""
    policy = last.branch.policy.up_to(last.known)
    if terms.rewriting is Rewriting.NONE:
        policy = terms.policy(_range(0, prompt.count))
    elif not prompt.is_compaction:  # a summary is written from what was in view, and nobody reads that afterwards
        aside = policy.aside
        if terms.rewriting is Rewriting.LOSSLESS or prompt.is_kept:
            aside = ()
        elif terms.has_room(prompt, aside):
            aside = prompt.choose(terms.setting)
        policy = terms.policy(aside=aside)
    cache = Cache(new_id(), max(prompt.keeps, last.branch.cache.keeps), (now,))
    return _next(prompt, last, policy, cache, same=same and last.goes_on)


def _is_out_of_reach(prompt: Prompt, found: Found) -> bool:
    """Whether something was set aside that later requests need not hold any more: nobody could read it again."""
    return prompt.is_kept and bool(found.branch.policy.up_to(found.known).aside)


def _continued(prompt: Prompt, found: Found, elsewhere: Found | None, terms: Terms, now: float) -> Branch:
    """The cache may be warm: what went out goes out the same."""
    policy = found.branch.policy.up_to(found.known)
    raw, aside = policy.raw, policy.aside
    cache = found.branch.cache.used(now, prompt.keeps)
    if found.known == prompt.count and not found.goes_on:
        # Sent before as a whole, and gone on from: a repetition changes nothing for those that came after it.
        return replace(found.branch, cache=cache, version=found.branch.version + 1)
    if terms.rewriting is Rewriting.NONE:
        raw = _joined(raw, _range(found.known, prompt.count))
    elif found.goes_on and prompt.answers(max(found.known, elsewhere.known if elsewhere else 0)) > 1:
        # More than one answer since: requests went past this proxy, as the client wrote them.
        raw = _joined(raw, _range(found.known, prompt.answered))
    elif not found.goes_on and terms.rewriting is Rewriting.SET_ASIDE and not prompt.is_compaction:
        # The client left what it had sent before: behind the common beginning nothing is cached.
        aside += prompt.choose(terms.setting, found.known) if terms.has_room(prompt, aside) else ()
    return _next(prompt, found, policy._replace(raw=raw, aside=aside), cache, same=found.goes_on)


def _next(prompt: Prompt, last: Found, policy: Policy, cache: Cache, *, same: bool) -> Branch:
    """The branch `last` with this request behind it, or another that leaves it there."""
    branch_id, version = (last.branch.id, last.branch.version + 1) if same else (new_id(), 0)
    return Branch(branch_id, prompt.head, prompt.count, cache, policy, version, last.branch.holdout)


def _range(first: int, end: int) -> tuple[tuple[int, int], ...]:
    return ((first, end),) if first < end else ()


def _joined(ranges: tuple[tuple[int, int], ...], more: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """The ranges with one more behind them."""
    if ranges and more and ranges[-1][1] == more[0][0]:
        return (*ranges[:-1], (ranges[-1][0], more[0][1]))
    return ranges + more

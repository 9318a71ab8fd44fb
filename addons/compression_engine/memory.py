"""The conversations that the engine has worked on, so that a request costs what is new in it.

A conversation is found by the chained hash of its messages: the hash of message i stands for messages 0 to i. Nothing
is decided here: with an empty memory the same bodies come out, later.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from threading import Lock

from compression_engine.conversation import Conversation
from compression_engine.policy import Policy

__all__ = ["Memory", "chain"]


def chain(seed: bytes, messages: Iterable[bytes]) -> list[bytes]:
    """A hash for every message that stands for it and all before it. `seed` stands for what else matters."""
    digests = []
    last = seed
    for message in messages:
        step = hashlib.sha256(last)
        step.update(message)
        last = step.digest()
        digests.append(last)
    return digests


class Memory:
    """Conversations by their chained hashes, the least recently used given up beyond `limit` bytes.

    Several threads may use it: what one has taken, no other gets.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = Lock()
        self._by_digest: dict[bytes, Conversation] = {}  # of those that say the same, the one that was here last
        self._known: OrderedDict[Conversation, int] = OrderedDict()  # with sizes, oldest use first
        self._size = 0

    @property
    def size(self) -> int:
        """About how many bytes the conversations take."""
        return self._size

    def known(self, policy: Policy, digests: Sequence[bytes], *, may_refer: bool = True) -> int:
        """How many of the messages need not be worked on again."""
        with self._lock:
            return self._find(policy, digests, may_refer=may_refer)[1]

    def forget(self, digest: bytes) -> None:
        """Give up the conversation with the message that `digest` stands for: it goes on in another way."""
        with self._lock:
            conversation = self._by_digest.get(digest)
            if conversation is not None:
                self._drop(conversation)

    def take(self, policy: Policy, digests: Sequence[bytes], *, may_refer: bool = True) -> Conversation | None:
        """The conversation that starts with as many of the messages as possible, and goes on with no others.

        If it already holds all messages of the request, it may hold more. What it holds of them was written as `policy`
        says, and so is what comes. It is no longer remembered until it is `put` back: what breaks off in between leaves
        nothing half done behind.
        """
        with self._lock:
            conversation, count = self._find(policy, digests, may_refer=may_refer)
            if conversation is None:
                return None
            self._drop(conversation)
            if count < len(digests):
                conversation.forget_after(count)
            if len(conversation.turns) == count:
                conversation.policy = policy
            return conversation

    def put(self, conversation: Conversation) -> None:
        """Remember `conversation`, and give up others if that is too much."""
        with self._lock:
            for digest in conversation.digests:
                self._by_digest[digest] = conversation
            self._known[conversation] = conversation.size
            self._size += conversation.size
            while self._size > self._limit and self._known:
                self._drop(next(iter(self._known)))

    def _find(self, policy: Policy, digests: Sequence[bytes], *, may_refer: bool) -> tuple[Conversation | None, int]:
        other = None
        for count in range(len(digests), 0, -1):
            conversation = self._by_digest.get(digests[count - 1])
            if conversation is None or conversation is other:
                continue
            if not conversation.is_written_as(policy, count, may_refer=may_refer):
                other = conversation
                continue
            if count < len(digests) and not conversation.can_forget_after(count):
                break
            return conversation, count
        return None, 0

    def _drop(self, conversation: Conversation) -> None:
        self._size -= self._known.pop(conversation)
        for digest in conversation.digests:
            if self._by_digest.get(digest) is conversation:
                del self._by_digest[digest]

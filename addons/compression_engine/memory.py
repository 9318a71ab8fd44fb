"""The conversations that the engine has worked on, so that a request costs what is new in it.

A conversation is found by the chained hash of its messages: the hash of message i stands for messages 0 to i. Nothing
is decided here: with an empty memory the same bodies come out, later.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from threading import Lock

from compression_engine.conversation import Conversation

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

    The same messages may have been written in several ways: a *variant* stands for each. Several threads may use it:
    what one has taken, no other gets.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = Lock()
        self._by_digest: dict[Hashable, dict[bytes, Conversation]] = {}  # by variant, too: its hash takes time
        self._known: OrderedDict[Conversation, tuple[Hashable, int]] = OrderedDict()  # with sizes, oldest use first
        self._size = 0

    @property
    def size(self) -> int:
        """About how many bytes the conversations take."""
        return self._size

    def knows(self, variant: Hashable, digest: bytes) -> bool:
        """Whether the conversation with the message that `digest` stands for is here."""
        with self._lock:
            return digest in self._by_digest.get(variant, {})

    def forget(self, variant: Hashable, digest: bytes) -> None:
        """Give up the conversation with the message that `digest` stands for: it goes on in another way."""
        with self._lock:
            conversation = self._by_digest.get(variant, {}).get(digest)
            if conversation is not None:
                self._drop(conversation)

    def take(self, variant: Hashable, digests: Sequence[bytes]) -> Conversation | None:
        """The conversation that starts with as many of the messages as possible, and goes on with no others.

        If it already holds all messages of the request, it may hold more. It is no longer remembered until it is `put`
        back: what breaks off in between leaves nothing half done behind.
        """
        with self._lock:
            by_digest = self._by_digest.get(variant, {})
            for count in range(len(digests), 0, -1):
                conversation = by_digest.get(digests[count - 1])
                if conversation is None:
                    continue
                if count < len(digests) and not conversation.can_forget_after(count):
                    return None
                self._drop(conversation)
                if count < len(digests):
                    conversation.forget_after(count)
                return conversation
            return None

    def put(self, variant: Hashable, conversation: Conversation) -> None:
        """Remember `conversation`, and give up others if that is too much."""
        with self._lock:
            by_digest = self._by_digest.setdefault(variant, {})
            for digest in conversation.digests:
                by_digest[digest] = conversation
            self._known[conversation] = (variant, conversation.size)
            self._size += conversation.size
            while self._size > self._limit and self._known:
                self._drop(next(iter(self._known)))

    def _drop(self, conversation: Conversation) -> None:
        variant, size = self._known.pop(conversation)
        self._size -= size
        by_digest = self._by_digest[variant]
        for digest in conversation.digests:
            if by_digest.get(digest) is conversation:
                del by_digest[digest]
        if not by_digest:
            del self._by_digest[variant]

"""The conversations that the engine has worked on, so that a request costs what is new in it.

A conversation is found by the chained hash of its messages: the hash of message i stands for messages 0 to i. Nothing
is decided here: with an empty memory the same bodies come out, later.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable

from compression_engine.conversation import Conversation

__all__ = ["Memory", "chain"]


def chain(seed: bytes, messages: Iterable[bytes]) -> list[bytes]:
    """A hash for every message that stands for it and all before it. `seed` stands for what else matters."""
    digests = []
    last = seed
    for message in messages:
        last = hashlib.sha256(last + hashlib.sha256(message).digest()).digest()
        digests.append(last)
    return digests


class Memory:
    """Conversations by their chained hashes, the least recently used given up beyond `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._by_digest: dict[bytes, Conversation] = {}
        # The digests that each conversation is known by, and its size when it was last put, least recently used first.
        self._known: OrderedDict[Conversation, tuple[list[bytes], int]] = OrderedDict()
        self._size = 0

    @property
    def size(self) -> int:
        """About how many bytes the conversations take."""
        return self._size

    def find(self, digests: list[bytes]) -> Conversation | None:
        """The conversation that starts with as many of the messages as possible, and goes on with no others.

        If it already holds all messages of the request, it may hold more.
        """
        for count in range(len(digests), 0, -1):
            conversation = self._by_digest.get(digests[count - 1])
            if conversation is None:
                continue
            if count == len(digests) or conversation.forget_after(count):
                return conversation
            return None
        return None

    def put(self, digests: list[bytes], conversation: Conversation) -> None:
        """Remember `conversation`, which holds the messages of `digests` and perhaps more."""
        known, size = self._known.pop(conversation, ([], 0))
        if len(digests) >= len(known) or known[: len(digests)] != digests:
            self._forget(known, conversation)
            known = digests
            for digest in digests:
                self._by_digest[digest] = conversation
        self._size += conversation.size - size
        self._known[conversation] = (known, conversation.size)
        while self._size > self._limit and self._known:
            oldest, (gone, size) = self._known.popitem(last=False)
            self._forget(gone, oldest)
            self._size -= size

    def _forget(self, digests: list[bytes], conversation: Conversation) -> None:
        for digest in digests:
            if self._by_digest.get(digest) is conversation:
                del self._by_digest[digest]

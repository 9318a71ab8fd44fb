"""What is remembered of conversations, so that what went out once goes out the same again: hashes, times, no content.

A *branch* is a path that a conversation takes; a rewind or a fork begins another. A request is found by the chained
hash of its messages, whichever process sent those before it. Nothing here is needed for a right answer: what is lost,
locked, full or corrupt costs savings and no request.
"""

from conversations.conversations import Conversations, Decision, Sent, Standing
from conversations.failsafe_store import FailsafeStore, SharedStore
from conversations.memory_store import MemoryStore
from conversations.plan import LONG_WINDOW, Rewriting, Terms
from conversations.redis_store import RedisStore
from conversations.sqlite_store import SQLiteStore

__all__ = [
    "LONG_WINDOW",
    "Conversations",
    "Decision",
    "FailsafeStore",
    "MemoryStore",
    "RedisStore",
    "Rewriting",
    "SQLiteStore",
    "Sent",
    "SharedStore",
    "Standing",
    "Terms",
]

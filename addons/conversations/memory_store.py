"""Branches in the memory of this process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from conversations.branch import Branch, Cache, Found, Wanted

__all__ = ["MemoryStore"]

_MOST_BRANCHES = 5_000


class MemoryStore:
    """A store for one process; the branches that were used least recently are given up."""

    is_near = True

    def __init__(self, most_branches: int = _MOST_BRANCHES) -> None:
        self._most = most_branches
        self._branches: OrderedDict[str, Branch] = OrderedDict()
        self._caches: dict[str, Cache] = {}
        self._users: dict[str, set[str]] = {}  # by cache: the branches that went out from it
        self._requests: dict[bytes, set[str]] = {}  # by digest: the branches
        self._digests: dict[str, set[bytes]] = {}  # by branch: what leads to it

    def find(self, digests: Sequence[bytes], head: bytes | None, wanted: Wanted | None = None) -> Found | None:
        """See `Store`."""
        for count in range(len(digests), 0, -1):
            branches = [
                branch
                for branch in map(self._branch, self._requests.get(digests[count - 1], ()))
                if (head is None or branch.head == head) and (wanted is None or wanted(branch))
            ]
            if branches:
                return Found(max(branches, key=lambda one: one.cache.last_sent or 0), count)
        return None

    def save(self, branch: Branch, digests: Sequence[bytes], known: int = 0) -> bool:
        """See `Store`."""
        new = digests[known:] if branch.cache.id in self._caches else digests
        before = self._branches.get(branch.id)
        if before is not None:
            if before.version >= branch.version:
                return False
            self._users[before.cache.id].discard(branch.id)
        self._branches[branch.id] = branch
        self._branches.move_to_end(branch.id)
        self._caches[branch.cache.id] = branch.cache
        self._users.setdefault(branch.cache.id, set()).add(branch.id)
        if before is not None:
            self._forget_unused(before.cache.id)
        self._digests.setdefault(branch.id, set()).update(new)
        for digest in new:
            self._requests.setdefault(digest, set()).add(branch.id)
        while len(self._branches) > self._most:
            self._give_up(next(iter(self._branches)))
        return True

    def settle(self, cache_id: str, asked_at: float, *, answered: bool) -> None:
        """See `Store`."""
        cache = self._caches.get(cache_id)
        if cache is not None:
            self._caches[cache_id] = cache.settled(asked_at, answered=answered)

    def close(self) -> None:
        """See `Store`."""

    def _branch(self, branch_id: str) -> Branch:
        branch = self._branches[branch_id]
        return replace(branch, cache=self._caches[branch.cache.id])

    def _forget_unused(self, cache_id: str) -> None:
        if not self._users[cache_id]:
            del self._users[cache_id], self._caches[cache_id]

    def _give_up(self, branch_id: str) -> None:
        branch = self._branches.pop(branch_id)
        self._users[branch.cache.id].discard(branch_id)
        self._forget_unused(branch.cache.id)
        for digest in self._digests.pop(branch_id, ()):
            self._requests[digest].discard(branch_id)
            if not self._requests[digest]:
                del self._requests[digest]

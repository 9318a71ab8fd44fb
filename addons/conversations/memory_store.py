"""Branches in the memory of this process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import replace

from conversations.branch import Branch, Cache, Found, Wanted

__all__ = ["MemoryStore"]

# Measured: a branch takes 1.4 kB, and 0.2 kB more for each of the messages that lead to it. So all take 50 MB at most.
_MOST_BRANCHES = 5_000
_MOST_DIGESTS = 200_000


class MemoryStore:
    """A store for one process: so many branches at most, with so many digests of messages that lead to them.

    Those that were used least recently are given up.
    """

    is_near = True

    def __init__(self, most_branches: int = _MOST_BRANCHES, most_digests: int = _MOST_DIGESTS) -> None:
        self._most_branches = most_branches
        self._most_digests = most_digests
        self._size = 0  # digests, of every branch
        self._branches: OrderedDict[str, Branch] = OrderedDict()
        self._caches: dict[str, Cache] = {}
        self._users: dict[str, set[str]] = {}  # by cache: the branches that went out from it
        self._requests: dict[bytes, tuple[str, ...]] = {}  # by digest: the branches, mostly one
        self._digests: dict[str, list[bytes]] = {}  # by branch: what leads to it

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
        self._lead(new, branch.id)
        while len(self._branches) > self._most_branches or self._size > self._most_digests:
            self._give_up(next(iter(self._branches)))
        return True

    def settle(self, cache_id: str, asked_at: float, *, answered: bool) -> None:
        """See `Store`."""
        cache = self._caches.get(cache_id)
        if cache is not None:
            self._caches[cache_id] = cache.settled(asked_at, answered=answered)

    @property
    def branches(self) -> Collection[str]:
        """The ids of the branches that are kept."""
        return self._branches.keys()

    @property
    def caches(self) -> Collection[str]:
        """The ids of their prompt caches."""
        return self._caches.keys()

    def close(self) -> None:
        """See `Store`."""

    def _branch(self, branch_id: str) -> Branch:
        branch = self._branches[branch_id]
        return replace(branch, cache=self._caches[branch.cache.id])

    def _lead(self, digests: Sequence[bytes], branch_id: str) -> None:
        """Find the branch by these digests, too."""
        leading = self._digests.setdefault(branch_id, [])
        for digest in digests:
            branches = self._requests.get(digest, ())
            if branch_id not in branches:
                self._requests[digest] = (*branches, branch_id)
                leading.append(digest)
                self._size += 1

    def _forget_unused(self, cache_id: str) -> None:
        if not self._users[cache_id]:
            del self._users[cache_id], self._caches[cache_id]

    def _give_up(self, branch_id: str) -> None:
        branch = self._branches.pop(branch_id)
        self._users[branch.cache.id].discard(branch_id)
        self._forget_unused(branch.cache.id)
        leading = self._digests.pop(branch_id)
        self._size -= len(leading)
        for digest in leading:
            left = tuple(one for one in self._requests.pop(digest) if one != branch_id)
            if left:
                self._requests[digest] = left

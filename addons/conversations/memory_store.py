"""Branches in the memory of this process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from conversations.branch import Branch, Found

__all__ = ["MemoryStore"]

_MOST_BRANCHES = 5_000


class MemoryStore:
    """A store for one process; the branches that were used least recently are given up."""

    def __init__(self, most_branches: int = _MOST_BRANCHES) -> None:
        self._most = most_branches
        self._branches: OrderedDict[str, Branch] = OrderedDict()
        self._requests: dict[bytes, dict[bytes, str]] = {}  # by digest and head: the branch
        self._digests: dict[str, set[bytes]] = {}  # by branch: what leads to it

    def find(self, digests: Sequence[bytes], head: bytes | None) -> Found | None:
        """See `Store`."""
        for count in range(len(digests), 0, -1):
            by_head = self._requests.get(digests[count - 1])
            if by_head is None:
                continue
            ids = by_head.values() if head is None else [by_head[head]] if head in by_head else []
            if ids:
                return Found(max((self._branches[one] for one in ids), key=lambda one: one.last_sent or 0), count)
        return None

    def save(self, branch: Branch, digest: bytes) -> bool:
        """See `Store`."""
        before = self._branches.get(branch.id)
        if before is not None:
            if not (before.version < branch.version or (before.version, before.policy) == _state(branch)):
                return False
            times = [at for at in (before.answered_at, branch.answered_at) if at is not None]
            branch = replace(branch, answered_at=max(times, default=None))
        self._branches[branch.id] = branch
        self._branches.move_to_end(branch.id)
        self._forget(digest, branch.head)
        self._requests.setdefault(digest, {})[branch.head] = branch.id
        self._digests.setdefault(branch.id, set()).add(digest)
        while len(self._branches) > self._most:
            self._give_up(next(iter(self._branches)))
        return True

    def settle(self, branch_id: str, asked_at: float, *, answered: bool) -> None:
        """See `Store`."""
        branch = self._branches.get(branch_id)
        if branch is None:
            return
        answered_at = max(branch.answered_at or asked_at, asked_at) if answered else branch.answered_at
        is_last = branch.asked_at is not None and branch.asked_at <= asked_at
        self._branches[branch_id] = replace(
            branch, answered_at=answered_at, asked_at=None if is_last else branch.asked_at
        )

    def close(self) -> None:
        """See `Store`."""

    def _forget(self, digest: bytes, head: bytes) -> None:
        branch_id = self._requests.get(digest, {}).get(head)
        if branch_id is not None:
            self._digests[branch_id].discard(digest)

    def _give_up(self, branch_id: str) -> None:
        branch = self._branches.pop(branch_id)
        for digest in self._digests.pop(branch_id, ()):
            by_head = self._requests[digest]
            by_head.pop(branch.head, None)
            if not by_head:
                del self._requests[digest]


def _state(branch: Branch) -> tuple[int, object]:
    return branch.version, branch.policy

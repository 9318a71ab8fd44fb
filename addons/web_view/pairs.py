"""Bodies as they came and as they went, by flow: the most recent that fit into a bound.

They are not kept in the flow itself: its metadata is written into files of saved flows.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from compression_engine import ResultChange

__all__ = ["Pair", "Pairs"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A body before and after, and what was done to its results, in their order."""

    before: bytes
    after: bytes
    changes: tuple[ResultChange, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return len(self.before) + len(self.after)


class Pairs:
    """Pairs in at most `limit` bytes; those that were looked at or put here longest ago are given up."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pairs: OrderedDict[str, Pair] = OrderedDict()
        self.size = 0
        """Bytes that are kept."""

    def put(self, flow_id: str, pair: Pair) -> None:
        """Keep a pair, unless it is larger than all that may be kept."""
        self.drop(flow_id)
        if pair.size > self._limit:
            return
        self._pairs[flow_id] = pair
        self.size += pair.size
        while self.size > self._limit:
            self.drop(next(iter(self._pairs)))

    def get(self, flow_id: str) -> Pair | None:
        """The pair of a flow, if it is still here."""
        pair = self._pairs.get(flow_id)
        if pair is not None:
            self._pairs.move_to_end(flow_id)
        return pair

    def drop(self, flow_id: str) -> None:
        """Give up the pair of a flow."""
        pair = self._pairs.pop(flow_id, None)
        self.size -= pair.size if pair else 0

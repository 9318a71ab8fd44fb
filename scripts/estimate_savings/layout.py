"""Where in the prompts of a context stands what each of its requests sent first."""

from __future__ import annotations

from collections.abc import Sequence

from estimate_savings.bill import Segment, Usage, place
from estimate_savings.contexts import Step

__all__ = ["Layout"]


class Layout:
    """A context as far as its requests have been sent. What requests without usage sent counts to the next with one.

    `segments` are the places, `steps_of` the steps that stand in each, both in order; `before` is the last step that
    has a usage.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps
        self.segments: list[Segment] = []
        self.steps_of: list[range] = []
        self.before: Step | None = None
        self._placed = 0  # steps

    def send(self, at: int) -> Usage | None:
        """Take what is new in the request of step `at`, the next one; its usage."""
        usage = self.steps[at].request.usage
        if usage is not None:
            new = range(self._placed, at + 1)
            before = self.before.request.usage.total if self.before and self.before.request.usage else 0
            likely = sum(part.tokens for number in new for part in self.steps[number].parts)
            self.segments.append(place(self.segments, before, usage.total, likely))
            self.steps_of.append(new)
            self._placed = at + 1
        return usage

    def answered(self, at: int) -> None:
        """The request of step `at` is done with."""
        if self.steps[at].request.usage is not None:
            self.before = self.steps[at]

    def start_of(self, at: int) -> float:
        """Where what step `at` sent first begins."""
        return next(
            (segment.start for segment, steps in zip(self.segments, self.steps_of, strict=True) if at in steps), 0.0
        )

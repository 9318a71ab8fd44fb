"""How many billed tokens a model makes of one o200k_base token, measured from the usage in the transcripts.

From one request to the next the prompt grows by what is new in it, and the transcript shows what that is. So each pair
of requests of one model whose new messages are only text, tool calls and tool results is a sample: billed growth over
counted tokens. The factor is the samples' median, weighted by their tokens, so that a prompt that also grew or shrank
by something else does not matter. It holds for the mixture of content that the samples have.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from estimate_savings.contexts import Step

__all__ = ["UNMEASURED", "Factor", "TokenFactors"]

UNMEASURED = 1.16
"""The least that was measured for any Claude model; for models whose transcripts do not suffice."""

# Below this, what stands around a message weighs too much.
_LEAST_SAMPLE = 300
_LEAST_EVIDENCE = 3000
# Outside these, the prompt grew or shrank by something else.
_PLAUSIBLE = (0.7, 2.5)


class Factor(NamedTuple):
    """Billed tokens an o200k_base token; `samples` is 0 where it was not measured."""

    value: float
    samples: int


class TokenFactors:
    """The factors by model."""

    def __init__(self) -> None:
        self._samples: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)

    def observe(self, before: Step, after: Step) -> None:
        """Take a request and the one after it on its path as a sample, if they make one."""
        old, new = before.request.usage, after.request.usage
        if old is None or new is None or before.request.model != after.request.model or after.adds_unknown:
            return
        if not all(part.is_counted for part in after.parts):
            return
        counted = sum(part.tokens for part in after.parts)
        grown = new.total - old.total
        if counted >= _LEAST_SAMPLE and _PLAUSIBLE[0] <= grown / counted <= _PLAUSIBLE[1]:
            self._samples[after.request.model].append((grown / counted, counted))

    def factor(self, model: str) -> Factor:
        """The factor of `model`."""
        samples = sorted(self._samples[model])
        evidence = sum(counted for _, counted in samples)
        if evidence < _LEAST_EVIDENCE:
            return Factor(UNMEASURED, 0)
        passed = 0
        for ratio, counted in samples:
            passed += counted
            if 2 * passed >= evidence:
                return Factor(ratio, len(samples))
        raise AssertionError("the samples do not add up to their sum")

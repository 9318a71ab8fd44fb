"""How many tokens the service counts for one of ours, per deployment, learned from what it billed.

We count o200k_base, which is fast and always there; Claude's tokens are not public. Where one request goes on from
another, what it has more is the answer to the other, whose tokens the service said, and its own last message. If that
message was counted here, the service's count of it follows by subtraction.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from itertools import accumulate
from typing import Any, NamedTuple

import msgspec

from billing.entry import Ending, Entry

__all__ = ["Calibration", "Factor", "counted_text"]

_LEAST_COUNTED = 200  # below this the few tokens around a message matter
_PLAUSIBLE = (0.5, 3.0)
_SAMPLES_KEPT = 300
_SAMPLES_NEEDED = 5

# Until enough was billed. Claude's tokens for one of o200k_base on tool results: 1.16 to 1.21 with the 4.5 and 4.6
# models, 1.57 to 1.72 with the newest, measured with the package ctok. OpenAI's own models: o200k_base itself.
_CLAUDE = re.compile(r"claude-(?:[a-z]+-)?(\d)(?:[-.](\d)(?!\d))?")
_LAST_OF_OLD = (4, 6)
_OLD, _NEW, _OTHER = 1.18, 1.6, 1.0


class Factor(NamedTuple):
    """`samples` says how many it was learned from; 0: it is assumed."""

    value: float
    samples: int = 0


class _Sample(NamedTuple):
    ratio: float
    counted: int


class Calibration:
    """The factors that were learned so far.

    Each is the median of the last samples, weighted by what was counted: a prompt that also grew or shrank by something
    else stands out and does not matter, and what stands around a message matters less the longer it is.
    """

    def __init__(self) -> None:
        # By deployment and then by model: behind the same name may stand another model from one day to the next.
        self._samples: dict[str, dict[str, deque[_Sample]]] = {}
        self._learned: dict[tuple[str, str], Factor] = {}

    def learn(self, before: Entry, entry: Entry) -> None:
        """Learn from `entry`, which goes on from `before`; nothing where the two do not tell."""
        if before.usage is None or entry.usage is None or before.ending is not Ending.COMPLETE:
            return
        grows_on = before.conversation == entry.conversation and entry.prefix_kept and not entry.moved
        if not grows_on or before.model != entry.model or entry.counted < _LEAST_COUNTED:
            return
        ratio = (entry.usage.input - before.usage.input - before.usage.output) / entry.counted
        if not _PLAUSIBLE[0] <= ratio <= _PLAUSIBLE[1]:
            return
        models = self._samples.setdefault(entry.deployment, {})
        samples = models.pop(entry.model, None) or deque(maxlen=_SAMPLES_KEPT)
        samples.append(_Sample(ratio, entry.counted))
        models[entry.model] = samples  # the last one is the newest
        if len(samples) >= _SAMPLES_NEEDED:
            self._learned[entry.deployment, entry.model] = Factor(_median(samples), len(samples))

    def factor(self, deployment: str, model: str = "") -> Factor:
        """The factor for a deployment whose answers name `model`; empty: for the model that answered last."""
        last = model or next(reversed(self._samples.get(deployment, {})), "")
        return self._learned.get((deployment, last)) or Factor(_assumed(last or deployment))


def _median(samples: Iterable[_Sample]) -> float:
    ordered = sorted(samples)
    half = sum(sample.counted for sample in ordered) / 2
    passed = accumulate(sample.counted for sample in ordered)
    return next(sample.ratio for sample, counted in zip(ordered, passed, strict=True) if counted >= half)


def _assumed(name: str) -> float:
    found = _CLAUDE.search(name.lower())
    if found is None:
        return _NEW if "claude" in name.lower() else _OTHER
    return _OLD if (int(found[1]), int(found[2] or 0)) <= _LAST_OF_OLD else _NEW


def counted_text(body: bytes) -> str:
    """What the last message of an Anthropic Messages body says, if it is the user's; empty if that cannot be told."""
    try:
        message = msgspec.json.decode(body)["messages"][-1]
        return "\n".join(_texts(message["content"])) if message["role"] == "user" else ""
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError, TypeError, AttributeError):
        return ""


def _texts(content: Any) -> list[str]:
    """The texts of a content and of the results in it; raises TypeError for what has another shape, or an image."""
    if isinstance(content, str):
        return [content]
    texts: list[str] = []
    for block in content:
        match block.get("type"):
            case "text":
                texts.append(block["text"])
            case "tool_result":
                texts += _texts(block.get("content") or "")
            case _:
                raise TypeError  # it has tokens that are not text
    return texts

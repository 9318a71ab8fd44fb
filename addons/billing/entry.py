"""What is written down of one request. Facts only: what they mean is worked out later, and can be worked out anew.

No content, no credentials, no host names. The names of tools are kept; what tools were asked and answered is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from billing.usage import Usage

__all__ = ["Change", "Ending", "Entry"]


class Ending(StrEnum):
    """How a request ended."""

    COMPLETE = "complete"  # answered to the end
    REFUSED = "refused"  # answered with a status of 400 or above
    CUT = "cut"  # the answer broke off on the service's side
    CLIENT_LEFT = "client-left"  # the client hung up, before the answer or in the middle of it
    UNREACHED = "unreached"  # no answer: the service could not be reached


@dataclass(frozen=True, slots=True)
class Change:
    """Rewritten tool results of one tool and one kind of content, over a whole body. Tokens are o200k_base."""

    tool: str  # empty if it is not known
    kind: str  # see compression_engine.ResultChange.kind
    results: int
    tokens_before: int
    tokens_after: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One request that the service bills, from its arrival here to the end of its answer.

    A request goes on from an earlier one of the conversation `follows`: its own, or the one that it forked from. Empty:
    none is known. Counts of results are those of the whole body, so the last request of a conversation has them all.
    """

    at: float
    """When it came in, in seconds since 1970."""
    conversation: str
    """An id of ours; empty if the body was not understood."""
    follows: str
    session: str
    """The client's own id of its session, a UUID; empty if it named none."""
    deployment: str
    model: str
    """As the answer names it; empty if it does not."""
    endpoint: str
    """`host_rules.Endpoint`."""
    mode: str
    holdout: bool
    """Whether the conversation is one of those that are left alone, for comparison."""
    outcome: str
    """What was done, or why nothing was: see `treatment.Treatment`."""
    status: int
    """HTTP; 0 if there was no answer."""
    ending: Ending
    bytes_before: int
    bytes_after: int
    """Of the body, before content encoding. In the mode observe as if it had been sent."""
    added_ms: float
    """How long the request waited for us."""
    gap: float | None = None
    """Seconds since the conversation's prompt cache was last used; None if it never was, as far as is known."""
    is_cold: bool = False
    """Whether its prompt cache was taken to have expired."""
    moved: bool = False
    """Whether old messages are written in another way than before, so that a warm cache would have been missed."""
    prefix_kept: bool = True
    """Whether all that the last request said is said again. False: the client changed or took back some of it."""
    set_aside: int = 0
    recalled: int = 0
    results: int = 0
    errors: int = 0
    rereads: int = 0
    """Tool results: for how many a line stands; how many brought back such a one; all; failed ones; readings of files
    that had been read before."""
    counted: int = 0
    """o200k_base tokens of what the last message says, as sent, where they were counted: see `billing.calibration`."""
    changes: tuple[Change, ...] = ()
    usage: Usage | None = None
    """None if the answer did not get so far as to tell."""

    @property
    def tokens_before(self) -> int:
        """o200k_base tokens of those results that were rewritten, as the client sent them."""
        return sum(change.tokens_before for change in self.changes)

    @property
    def tokens_after(self) -> int:
        """The same as they were sent, or would have been in the mode observe."""
        return sum(change.tokens_after for change in self.changes)

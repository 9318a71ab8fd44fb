"""What can become of a request, by the names that logs, the ledger and mitmproxy's files have, and in plain words.

No mitmproxy and no engine: whoever reads the ledger needs the names as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = [
    "FAILED",
    "HOLDOUT",
    "MEANINGS",
    "NOTHING_TO_DO",
    "NOT_UNDERSTOOD",
    "OBSERVED",
    "OFF",
    "REWRITTEN",
    "SIGNED",
    "STOPPED",
    "STREAMED",
    "TOO_LARGE",
    "UNKNOWN_FORMAT",
    "UNREADABLE_ENCODING",
    "Meaning",
    "is_passed",
    "reason",
    "remedy",
    "words",
]

# What the engine says, see compression_engine.Outcome.
REWRITTEN = "rewritten"
NOTHING_TO_DO = "nothing-to-do"
NOT_UNDERSTOOD = "not-understood"
STOPPED = "stopped"
# What is said around it.
OBSERVED = "observed"  # would have been rewritten
HOLDOUT = "holdout"  # one of those that are left alone, for comparison
OFF = "off"  # the mode was switched off, and the conversation had not been rewritten, or is not any more
FAILED = "failed"
SIGNED = "signed"  # or with a hash of its body
STREAMED = "streamed"
TOO_LARGE = "too-large"  # or unfolds to what is
UNKNOWN_FORMAT = "unknown-format"
UNREADABLE_ENCODING = "unreadable-encoding"


@dataclass(frozen=True, slots=True)
class Meaning:
    """An outcome in plain words.

    `words` say what was done, `reason` why no more was; `remedy` is what may be done about it, empty where nothing is
    amiss or nothing can be. `is_passed`: the request was one to rewrite, and was passed through.
    """

    words: str
    reason: str
    remedy: str = ""
    is_passed: bool = False


def _passed(reason: str, remedy: str = "") -> Meaning:
    return Meaning(f"passed through: {reason}", reason, remedy, is_passed=True)


_OTHER_MODE = "give it another foundry_mode"
_NOTHING = "nothing in it could be written in fewer tokens"

MEANINGS: Mapping[str, Meaning] = {
    REWRITTEN: Meaning("made smaller", ""),
    OBSERVED: Meaning(
        "would have been made smaller (mode observe)",
        "the mode is observe, which measures and changes nothing",
        _OTHER_MODE,
    ),
    NOTHING_TO_DO: Meaning(_NOTHING, _NOTHING),
    HOLDOUT: Meaning("left alone, for comparison", "its session is one of those that are left alone, for comparison"),
    OFF: Meaning("left alone: the mode was switched off", "the mode was switched off", _OTHER_MODE),
    NOT_UNDERSTOOD: _passed("its body is not of the shape that its format has", "look for an update of this project"),
    STOPPED: _passed("more was new in it than there was time for", "see foundry_budget_ms"),
    UNKNOWN_FORMAT: _passed(
        "its path is not known", "check the path of the client's base URL (Claude Code: ANTHROPIC_FOUNDRY_BASE_URL)"
    ),
    UNREADABLE_ENCODING: _passed("its content encoding cannot be read"),
    SIGNED: _passed("a signature or a hash covers its body", "look in the proxy's log for what to set in the client"),
    STREAMED: _passed(
        "it was sent on before it was complete (stream_large_bodies)", "unset mitmproxy's option stream_large_bodies"
    ),
    TOO_LARGE: _passed("it is larger than any service takes, or unfolds to that"),
    FAILED: _passed("the addon made a mistake", "report what the proxy's log says of it"),
}
"""By the names above. A ledger may hold others: those of another version."""


def words(outcome: str) -> str:
    """What was done, in plain words; the name itself if it is not known."""
    return MEANINGS[outcome].words if outcome in MEANINGS else outcome


def reason(outcome: str) -> str:
    """Why no more was done; the name itself if it is not known."""
    return MEANINGS[outcome].reason if outcome in MEANINGS else outcome


def remedy(outcome: str) -> str:
    """What may be done about it; empty where nothing is amiss, nothing can be, or the name is not known."""
    return MEANINGS[outcome].remedy if outcome in MEANINGS else ""


def is_passed(outcome: str) -> bool:
    """Whether the request was one to rewrite, and was passed through."""
    return outcome in MEANINGS and MEANINGS[outcome].is_passed

"""Whether the addon does its work at all, and if not, why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from billing.accounts import Account
from billing.entry import Ending
from configuring.possible_values import Mode
from local_site import documents
from local_site.words import things
from outcomes import HOLDOUT, OBSERVED, OFF, REWRITTEN, words

__all__ = ["State", "Verdict", "judge"]

_LOOKED_AT = 20  # requests: of what happens now, not of what happened in the morning
_IN_A_ROW = 3
_AT_WORK = frozenset({REWRITTEN, OBSERVED, HOLDOUT, OFF, "nothing-to-do"})


class State(StrEnum):
    """How it stands."""

    HEALTHY = "healthy"
    WAITING = "waiting"  # nobody has come yet
    OBSERVING = "observing"
    OFF = "off"
    PASSING = "passing-through"  # requests come, and go out as they are
    FAILING = "failing"  # requests come, and the service does not answer them


@dataclass(frozen=True, slots=True)
class Verdict:
    """`headline` is one sentence, `lines` say what else is to be known."""

    state: State
    headline: str
    lines: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """The same for JSON."""
        return {"state": self.state, "headline": self.headline, "lines": list(self.lines)}


def judge(stats: Mapping[str, object], recent: Sequence[Account]) -> Verdict:
    """From the sums and the last requests, newest last. `stats` may hold lines to be said in `problems`."""
    last = recent[-_LOOKED_AT:]
    state, headline = _state(documents.text(stats, "mode"), last)
    return Verdict(state, headline, tuple(_lines(state, stats, last)))


def _state(mode: str, last: Sequence[Account]) -> tuple[State, str]:
    if mode == Mode.OFF:
        return State.OFF, "Off: requests pass through as they are."
    if not last:
        return State.WAITING, "Waiting: nothing for Foundry has come through this proxy yet."
    if why := _unanswered(last[-_IN_A_ROW:]):
        return State.FAILING, f"Failing: {why}."
    return _treated(mode, last)


def _treated(mode: str, last: Sequence[Account]) -> tuple[State, str]:
    outcomes = Counter(account.entry.outcome for account in last)
    requests = "the last request" if len(last) == 1 else f"the last {len(last)} requests"
    if rewritten := outcomes[REWRITTEN]:
        made = (
            f"{requests} was" if len(last) == 1 else f"{rewritten} of {requests} {'was' if rewritten == 1 else 'were'}"
        )
        return State.HEALTHY, f"Healthy: {made} made smaller."
    if not outcomes.keys() <= _AT_WORK:
        return State.PASSING, f"Passing through: {requests} went out as {'it' if len(last) == 1 else 'they'} came."
    if mode == Mode.OBSERVE:
        return State.OBSERVING, "Measuring: requests are looked at and pass as they are."
    return State.HEALTHY, f"Healthy: {requests} had nothing that could be written in fewer tokens."


def _unanswered(last: Sequence[Account]) -> str:
    """Why none of these requests was answered; empty if one was."""
    endings = {account.entry.ending for account in last}
    if endings == {Ending.UNREACHED}:
        return "Foundry could not be reached from here"
    if endings == {Ending.REFUSED}:
        statuses = sorted({str(account.entry.status) for account in last})
        return f"the service refuses requests (status {', '.join(statuses)})"
    return ""


def _lines(state: State, stats: Mapping[str, object], last: Sequence[Account]) -> list[str]:
    lines = []
    if state is State.WAITING:
        lines.append("A client comes here if HTTPS_PROXY names this proxy; scripts/claude-foundry sees to that.")
    outcomes = Counter(account.entry.outcome for account in last)
    for outcome, number in outcomes.most_common():
        if outcome not in _AT_WORK:
            lines.append(f"{things(number, 'request')} of the last {len(last)} {words(outcome)}.")
    if lost := documents.count(stats, "ledger_lost"):
        lines.append(f"{things(lost, 'request')} could not be written into the ledger; the report will lack them.")
    problems = stats.get("problems")
    if isinstance(problems, Sequence) and not isinstance(problems, str):
        lines.extend(line for line in problems if isinstance(line, str))
    return lines

"""Whether the last hour's requests were made smaller, from the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import outcomes
from billing.entry import Entry
from billing.ledger import LEDGER_FILE
from billing.ledger_reader import LedgerError, LedgerReader
from doctor_checks.finding import Finding, failed, ok, skipped, warning
from doctor_checks.request import BODY
from outcomes import REWRITTEN

__all__ = ["check", "judge"]

NAME = "last hour"
HOUR = 3600.0


def check(state_dir: Path, now: float) -> Finding:
    """What the ledger in `state_dir` says of the hour before `now`, in seconds since 1970."""
    file = state_dir / LEDGER_FILE
    if not file.exists():
        return skipped(NAME, f"no request has been noted in {state_dir} yet")
    try:
        with closing(LedgerReader(file)) as reader:
            entries = list(reader.entries(now - HOUR))
    except LedgerError as error:
        detail, _, remedy = str(error).rpartition(": ")
        return failed(NAME, detail, remedy)
    return judge(entries)


def judge(entries: Sequence[Entry]) -> Finding:
    """What the `entries` of an hour say."""
    entries = [entry for entry in entries if entry.bytes_before != len(BODY)]  # those were the doctor's own
    if not entries:
        return skipped(NAME, "no request came through the proxy")
    answered = [entry for entry in entries if 0 < entry.status < 400]  # noqa: PLR2004
    if not answered:
        status = Counter(entry.status for entry in entries).most_common(1)[0][0]
        said = f"most were refused with {status}" if status else "most did not reach the service"
        remedy = "see the lines above" if status == 0 else "Claude Code shows what the service says"
        return warning(NAME, f"{_requests(len(entries))}, none answered: {said}", remedy)
    smaller = sum(entry.outcome == REWRITTEN for entry in answered)
    why_not = Counter(entry.outcome for entry in answered if entry.outcome != REWRITTEN)
    if not smaller:
        outcome, count = why_not.most_common(1)[0]
        detail = f"{_requests(len(answered))}, none made smaller; of {count} the reason is: {outcomes.reason(outcome)}"
        return warning(NAME, detail, outcomes.remedy(outcome))
    tokens = sum(entry.tokens_before - entry.tokens_after for entry in answered if entry.outcome == REWRITTEN)
    others = "".join(f"; {count} {outcome}" for outcome, count in why_not.most_common())
    return ok(NAME, f"{_requests(len(answered))}, {smaller} made smaller by {tokens:,} o200k_base tokens{others}")


def _requests(number: int) -> str:
    return f"{number} request{'' if number == 1 else 's'}"

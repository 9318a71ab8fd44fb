from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from billing.accounts import Account
from billing.entry import Change, Ending, Entry
from totals import Totals

ENTRY = Entry(1.0, "", "", "", "", "", "messages", "balanced", False, "rewritten", 200, Ending.COMPLETE, 100, 60, 1.0)  # noqa: FBT003


def account(outcome: str, removed: int = 0, status: int = 200, before: int = 10, after: int = 10) -> Account:
    changes = (Change("Read", "stub", 1, removed + 1, 1),)
    return Account(
        replace(ENTRY, outcome=outcome, status=status, bytes_before=before, bytes_after=after, changes=changes),
        removed=removed,
        paid=10.0,
        without=10.0 + removed,
    )


def test_nothing_has_happened_yet() -> None:
    document = Totals().as_dict()
    since = datetime.fromisoformat(str(document.pop("since")))
    assert timedelta() <= datetime.now(UTC) - since < timedelta(minutes=1)
    assert not any(document.values())


def test_requests_are_counted_by_what_came_of_them() -> None:
    totals = Totals()
    for one in (
        account("rewritten", 7, before=100, after=60),
        account("rewritten", 5, before=50, after=49),
        account("rewritten", 5, status=429),
        account("rewritten", 5, status=0),
        account("observed", 11),
        account("nothing-to-do"),
        account("nothing-to-do"),
    ):
        totals.add(one)
    document = totals.as_dict()
    del document["since"]
    assert document == {
        "requests": 7,
        "rewritten": 4,
        "unchanged": {"nothing-to-do": 2, "observed": 1},
        "tokens_removed": 12,
        "bytes_removed": 41,
        "tokens_observed": 11,
        "units_paid": 50.0,
        "units_saved": 23.0,
    }

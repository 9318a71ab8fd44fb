from __future__ import annotations

from datetime import UTC, datetime, timedelta

from totals import Totals
from treatment import Treatment


def test_nothing_has_happened_yet() -> None:
    document = Totals().as_dict()
    since = datetime.fromisoformat(str(document.pop("since")))
    assert timedelta() <= datetime.now(UTC) - since < timedelta(minutes=1)
    assert document == {
        "requests": 0,
        "rewritten": 0,
        "unchanged": {},
        "tokens_removed": 0,
        "bytes_removed": 0,
        "tokens_observed": 0,
    }


TREATMENTS = (
    Treatment("rewritten", tokens_removed=7, bytes_before=100, bytes_after=60),
    Treatment("rewritten", tokens_removed=5, bytes_before=50, bytes_after=49),
    Treatment("observed", tokens_removed=11, bytes_before=100, bytes_after=1),
    Treatment("nothing-to-do", bytes_before=10, bytes_after=10),
    Treatment("nothing-to-do", bytes_before=10, bytes_after=10),
)


def test_requests_are_counted_by_what_came_of_them_and_save_nothing_yet() -> None:
    totals = Totals()
    for treatment in TREATMENTS:
        totals.count(treatment)
    document = totals.as_dict()
    del document["since"]
    assert document == {
        "requests": 5,
        "rewritten": 2,
        "unchanged": {"nothing-to-do": 2, "observed": 1},
        "tokens_removed": 0,
        "bytes_removed": 0,
        "tokens_observed": 0,
    }


def test_savings_are_counted_when_the_answer_comes() -> None:
    totals = Totals()
    for treatment in TREATMENTS:
        totals.count_answered(treatment)
    document = totals.as_dict()
    assert (document["tokens_removed"], document["bytes_removed"], document["tokens_observed"]) == (12, 41, 11)
    assert document["requests"] == 0

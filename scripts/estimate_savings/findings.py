"""The estimate as plain data, for machines and for the tables.

Shares are of the whole input bill, those of a project or session of its own. Units are plain input tokens' worth.
"""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from estimate_savings.bill import PRICES, Bill
from estimate_savings.estimate import Cell, Estimate, Results, Saving
from estimate_savings.replay import Result

__all__ = ["findings"]

_LEFT_ALONE = "left as it is"

type Json = dict[str, Any]


def findings(estimate: Estimate) -> Json:
    """All that is known, ready for `json.dumps`."""
    whole = estimate.bill
    saving = estimate.savings_by(_all).get("", Saving())
    units = whole.usage.units
    skipped = estimate.skipped
    return {
        "mode": "lossless",
        "transcripts": {
            "files": estimate.files,
            "projects": len({project for project, _ in estimate.bills}),
            "sessions": len({session for _, session in estimate.bills}),
            "requests": whole.requests,
            "requests_without_usage": skipped.requests,
            "unreadable_lines": skipped.lines,
            "skipped_files": skipped.files,
            "engine_problems": sorted(skipped.problems),
        },
        "input_bill": {"units": units, "tokens": whole.usage._asdict(), "prices": PRICES._asdict()},
        "saved": {
            "units": saving.units,
            "share": _share(saving.units, units),
            "billed_tokens": saving.tokens,
            "o200k_tokens": estimate.carried,
        },
        "tool_results": _results(estimate.results_by(_all).get("", Results())),
        "tokens_per_o200k_token": {
            model: {"factor": factor.value, "samples": factor.samples} for model, factor in estimate.models.items()
        },
        "by_project": _by_payer(estimate, "project", 0),
        "by_session": _by_payer(estimate, "session", 1),
        "by_tool": _by_content(estimate, units, lambda cell: cell.tool),
        "by_kind": _by_content(estimate, units, lambda cell: cell.kind or _LEFT_ALONE),
        "best": [_example(result) for result in estimate.best()],
        "worst": [_example(result) for result in estimate.worst()],
    }


def _all(_: Cell) -> str:
    return ""


def _by_payer(estimate: Estimate, name: str, at: int) -> list[Json]:
    bills: defaultdict[str, Bill] = defaultdict(Bill)
    for payer, bill in estimate.bills.items():
        bills[payer[at]].merge(bill)
    savings = estimate.savings_by(operator.attrgetter(name))
    rows = []
    for key, bill in bills.items():
        units = bill.usage.units
        saved = savings[key].units if key in savings else 0.0
        rows.append(
            {
                "name": key,
                "requests": bill.requests,
                "input_bill_units": units,
                "saved_units": saved,
                "share": _share(saved, units),
            }
        )
    return sorted(rows, key=lambda row: (-row["saved_units"], row["name"]))


def _by_content(estimate: Estimate, units: float, key_of: Callable[[Cell], str]) -> list[Json]:
    savings = estimate.savings_by(key_of)
    rows = []
    for key, results in estimate.results_by(key_of).items():
        saved = savings[key].units if key in savings else 0.0
        rows.append({"name": key, **_results(results), "saved_units": saved, "share": _share(saved, units)})
    return sorted(rows, key=lambda row: (-row["saved_units"], -row["o200k_tokens_before"], row["name"]))


def _results(results: Results) -> Json:
    return {
        "count": results.count,
        "rewritten": results.rewritten,
        "o200k_tokens_before": results.tokens_before,
        "o200k_tokens_after": results.tokens_after,
    }


def _example(result: Result) -> Json:
    return {
        "tool": result.tool,
        "kind": result.kind,
        "o200k_tokens_before": result.tokens_before,
        "o200k_tokens_after": result.tokens_after,
        "before": result.sent,
        "after": result.arrived,
    }


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0

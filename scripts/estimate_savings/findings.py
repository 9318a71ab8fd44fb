"""The estimate as plain data, for machines and for the tables.

Shares are of the whole input bill, those of a project or session of its own. Units are plain input tokens' worth. What
is said of setting aside is said against doing without it.
"""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from conversations import Rewriting, Terms
from estimate_savings.account import Account, Cell, Payer, Results
from estimate_savings.bill import PRICES, Bill
from estimate_savings.estimate import Estimate
from estimate_savings.replay import Result

__all__ = ["MODES", "estimate_for", "findings"]

MODES = ("balanced", "lossless")
"""What the addon can be told to do, as far as it saves anything; the first is its default."""

_LEFT_ALONE = "left as it is"

type Json = dict[str, Any]


def estimate_for(mode: str, *, lifetime: float | None = None, examples: int = 0) -> Estimate:
    """An estimate that `findings` can tell of. `lifetime` of the prompt cache in seconds, None: as the usage shows."""
    lossless = Terms(Rewriting.LOSSLESS, lifetime=lifetime)
    aside = Terms(Rewriting.SET_ASIDE, lifetime=lifetime)
    return Estimate([lossless] if mode == "lossless" else [aside, lossless], examples)


def findings(estimate: Estimate) -> Json:
    """All that is known, ready for `json.dumps`. `estimate` is one that `estimate_for` made."""
    whole = estimate.bill
    account, lossless = estimate.accounts[0], estimate.accounts[-1]
    saving = estimate.saved(account)
    units = whole.usage.units
    skipped = estimate.skipped
    return {
        "mode": MODES[account is lossless],
        "transcripts": {
            "files": estimate.files,
            "projects": len({payer.project for payer in estimate.bills}),
            "sessions": len({payer.session for payer in estimate.bills}),
            "requests": whole.requests,
            "requests_without_usage": skipped.requests,
            "unreadable_lines": skipped.lines,
            "skipped_files": skipped.files,
            "engine_problems": sorted(account.problems),
        },
        "input_bill": {"units": units, "tokens": whole.usage._asdict(), "prices": PRICES._asdict()},
        "saved": {
            "units": saving.units,
            "share": _share(saving.units, units),
            "billed_tokens": saving.tokens,
            "o200k_tokens": account.carried,
        },
        "set_aside": None if account is lossless else _set_aside(estimate, account, lossless),
        "tool_results": _results(account.results_by(_all).get("", Results())),
        "tokens_per_o200k_token": {
            model: {"factor": factor.value, "samples": factor.samples} for model, factor in estimate.models.items()
        },
        "by_project": _by_payer(estimate, operator.attrgetter("project")),
        "by_session": _by_payer(estimate, operator.attrgetter("session")),
        "by_tool": _by_content(estimate, lambda cell: cell.tool),
        "by_kind": _by_content(estimate, lambda cell: cell.kind or _LEFT_ALONE),
        "best": [_example(result) for result in account.best()],
        "worst": [_example(result) for result in account.worst()],
    }


def _set_aside(estimate: Estimate, account: Account, lossless: Account) -> Json:
    """What setting aside is worth, and what it costs."""
    units = estimate.bill.usage.units
    costs = account.all_costs
    saved = estimate.saved(account).units
    more = saved - estimate.saved(lossless).units
    results, every = account.set_aside, account.results_by(_all).get("", Results())
    return {
        "results": results.count,
        "o200k_tokens": results.tokens_before,
        "share_of_result_tokens": _share(results.tokens_before, every.tokens_before),
        "saved_units": more,
        "share": _share(more, units),
        "written_again_units": costs.written_again,
        "edits": costs.edits,
        "edits_out_of_view": costs.edits_out_of_view,
        "share_of_edits": _share(costs.edits_out_of_view, costs.edits),
        "one_more_call_units": costs.calls,
        "share_net_of_calls": _share(saved - costs.calls, units),
    }


def _all(_: Cell) -> str:
    return ""


def _by_payer(estimate: Estimate, key_of: Callable[[Cell | Payer], str]) -> list[Json]:
    account = estimate.accounts[0]
    bills: defaultdict[str, Bill] = defaultdict(Bill)
    for payer, bill in estimate.bills.items():
        bills[key_of(payer)].merge(bill)
    saved = {key: saving.units for key, saving in account.savings_by(key_of, estimate.factors).items()}
    for payer, costs in account.costs.items():
        saved[key_of(payer)] = saved.get(key_of(payer), 0.0) - costs.written_again
    rows = [
        {
            "name": key,
            "requests": bill.requests,
            "input_bill_units": bill.usage.units,
            "saved_units": saved.get(key, 0.0),
            "share": _share(saved.get(key, 0.0), bill.usage.units),
        }
        for key, bill in bills.items()
    ]
    return sorted(rows, key=lambda row: (-row["saved_units"], row["name"]))


def _by_content(estimate: Estimate, key_of: Callable[[Cell], str]) -> list[Json]:
    """Tool results as they were when they were last sent, with all that was saved on them while they were so."""
    account = estimate.accounts[0]
    units = estimate.bill.usage.units
    savings = account.savings_by(key_of, estimate.factors)
    found = account.results_by(key_of)
    rows = []
    for key in {*savings, *found}:
        saved = savings[key].units if key in savings else 0.0
        results = _results(found.get(key, Results()))
        rows.append({"name": key, **results, "saved_units": saved, "share": _share(saved, units)})
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

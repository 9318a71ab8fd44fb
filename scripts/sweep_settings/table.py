"""The sweep as a Markdown table: a row for each pair of settings, and one for setting nothing aside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from compression_engine import Setting
from conversations import Rewriting, Terms
from estimate_savings.account import Account, Results
from estimate_savings.estimate import Estimate

__all__ = ["table", "terms_for"]

_COLUMNS = (
    "recent tokens",
    "least tokens",
    "bill",
    "against lossless",
    "result tokens set aside",
    "edits in want of one more call",
    "bill with the calls",
    "against lossless",
)


def terms_for(settings: Sequence[Setting], lifetime: float | None = None) -> list[Terms]:
    """The terms of the rows: without setting anything aside, then with each of `settings`."""
    aside = [Terms(Rewriting.SET_ASIDE, setting, lifetime) for setting in settings]
    return [Terms(Rewriting.LOSSLESS, lifetime=lifetime), *aside]


def table(estimate: Estimate, settings: Sequence[Setting]) -> Iterator[str]:
    """The lines of the table; `estimate` was made with `terms_for(settings)`.

    Bills are input units, as shares of the bill without a proxy and of that without setting anything aside.
    """
    lossless, *accounts = estimate.accounts
    yield _row(_COLUMNS)
    yield _row(["---:"] * len(_COLUMNS))
    yield _row(["lossless", "", *_figures(estimate, lossless, lossless)])
    for setting, account in zip(settings, accounts, strict=True):
        cells = [f"{setting.window:,}", f"{setting.least:,}", *_figures(estimate, account, lossless)]
        yield _row([f"**{cell}**" for cell in cells] if setting == Setting() else cells)


def _figures(estimate: Estimate, account: Account, lossless: Account) -> list[str]:
    whole = estimate.bill.usage.units
    least = whole - estimate.saved(lossless).units
    bill = whole - estimate.saved(account).units
    costs = account.all_costs
    every = account.results_by(lambda _: "").get("", Results()).tokens_before
    return [
        f"{bill / whole:.3f}",
        f"{bill / least:.3f}",
        f"{account.set_aside.tokens_before / max(1, every):.1%}",
        f"{costs.edits_out_of_view:,} of {costs.edits:,} ({costs.edits_out_of_view / max(1, costs.edits):.1%})",
        f"{(bill + costs.calls) / whole:.3f}",
        f"{(bill + costs.calls) / least:.3f}",
    ]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"

"""What the session saved, in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["closing_line"]

_KILO = 1000


def closing_line(stats: Mapping[str, Any] | None) -> str:
    """From the document at /api/stats: counts of this session; tokens are o200k_base, bytes those of request bodies."""
    if stats is None:
        return "the proxy did not say what was saved."
    if stats.get("mode") == "off":  # tunnelled, so nobody knows which requests there were
        return "nothing was looked at or changed (mode off)."
    requests = int(stats.get("requests", 0))
    if not requests:
        return "no request to Foundry came through the proxy."
    seen = f"{_counted(requests, 'request')} to Foundry"
    if stats.get("mode") == "observe":
        tokens = int(stats.get("tokens_observed", 0))
        return f"{seen}, none changed (mode observe); {_counted(tokens, 'input token')} would have been saved."
    tokens = int(stats.get("tokens_removed", 0))
    saved = f"{_counted(tokens, 'input token')} and {_size(int(stats.get('bytes_removed', 0)))} saved"
    return f"{seen}, {int(stats.get('rewritten', 0)):,} made smaller: {saved}{_share(stats)}."


def _share(stats: Mapping[str, Any]) -> str:
    """What that was of the bill; empty where nothing was billed. The bill is the service's, the saving an estimate."""
    paid, saved = float(stats.get("units_paid", 0)), float(stats.get("units_saved", 0))
    without = paid + saved
    if not paid or without <= 0:
        return ""
    share = abs(saved) / without
    money = stats.get("money") or {}
    sums = [f"{currency} {abs(float(costs.get('saved', 0))):,.2f}" for currency, costs in money.items()]
    amount = f", {' and '.join(sums)}" if sums else ""
    return f"; the bill is about {share:.0%} {'lower' if saved >= 0 else 'higher'} for it{amount}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _size(count: int) -> str:
    if count < _KILO:
        return _counted(count, "byte")
    if count < _KILO * _KILO:
        return f"{count / _KILO:.1f} kB"
    return f"{count / _KILO / _KILO:.1f} MB"

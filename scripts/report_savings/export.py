"""The figures for programs: JSON with everything, CSV with one table. Where a name changes, `SCHEMA` goes up."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import Any

from report_savings.figures import Content, Cost, Deployment, Figures, Money, Row

__all__ = ["SCHEMA", "By", "as_csv", "as_json"]

SCHEMA = 1

type Json = dict[str, Any]


class By(StrEnum):
    """What a CSV has one row for."""

    DAY = "day"
    PROJECT = "project"
    DEPLOYMENT = "deployment"
    TOOL = "tool"
    KIND = "kind"


def as_json(figures: Figures) -> str:
    """One document, ASCII. Costs are units unless a currency is named; times are seconds since 1970."""
    document = {
        "schema": SCHEMA,
        "first": figures.first,
        "last": figures.last,
        "conversations": figures.conversations,
        "holdout_requests": figures.holdout,
        "unreadable_requests": figures.unreadable,
        "total": _cost(figures.total),
        "by_day": [_row(row) for row in figures.days],
        "by_project": [_row(row) for row in figures.projects],
        "by_deployment": [_deployment(row) for row in figures.deployments],
        "by_tool": [_content(row) for row in figures.tools],
        "by_kind": [_content(row) for row in figures.kinds],
        "outcomes": {tally.name: tally.requests for tally in figures.outcomes},
        "endings": {tally.name: tally.requests for tally in figures.endings},
        "modes": {tally.name: tally.requests for tally in figures.modes},
        "prompt_cache": asdict(figures.health),
        "added_ms": asdict(figures.waiting),
        "results": asdict(figures.results),
        "evidence": None if figures.evidence is None else asdict(figures.evidence),
    }
    return json.dumps(document, indent=2, allow_nan=False)


def as_csv(figures: Figures, by: By) -> str:
    """A line of names and one a row. Costs are units; each currency has columns of its own."""
    currencies = [money.currency for money in figures.total.money]
    rows: Sequence[Json] = {
        By.DAY: lambda: [_flat(row, currencies) for row in figures.days],
        By.PROJECT: lambda: [_flat(row, currencies) for row in figures.projects],
        By.DEPLOYMENT: lambda: [_flat_deployment(row, currencies) for row in figures.deployments],
        By.TOOL: lambda: [_content(row) for row in figures.tools],
        By.KIND: lambda: [_content(row) for row in figures.kinds],
    }[by]()
    names = list(rows[0]) if rows else ["name"]
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writerow({name: by if name == "name" else name for name in names})
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def _cell(value: object) -> object:
    """`value` so that a spreadsheet takes it for what it is: a name that looks like a formula is none."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _cost(cost: Cost) -> Json:
    return {
        "requests": cost.requests,
        "billed_requests": cost.billed,
        "unpriced_requests": cost.unpriced,
        "paid_units": cost.paid,
        "without_units": cost.without,
        "saved_units": cost.saved,
        "share": cost.share,
        "output_units": cost.output,
        "removed_tokens": cost.removed,
        "observed_tokens": cost.observed,
        "could_save_units": cost.could_save,
        "money": {money.currency: _money(money) for money in cost.money},
    }


def _money(money: Money) -> Json:
    return {
        "requests": money.requests,
        "paid": money.paid,
        "without": money.without,
        "saved": money.saved,
        "output": money.output,
    }


def _row(row: Row) -> Json:
    return {"name": row.name, **_cost(row.cost)}


def _deployment(row: Deployment) -> Json:
    return {
        "name": row.name,
        **_cost(row.cost),
        "models": list(row.models),
        "factor": row.factor,
        "factor_samples": row.samples,
        "prices": [asdict(price) for price in row.prices],
    }


def _content(row: Content) -> Json:
    return {
        "name": row.name,
        "results": row.results,
        "o200k_tokens_before": row.tokens_before,
        "o200k_tokens_after": row.tokens_after,
        "o200k_tokens_removed": row.removed,
        "saved_units": row.saved,
        "share_of_saving": row.share,
    }


def _flat(row: Row, currencies: Sequence[str]) -> Json:
    return _without_money(_row(row), currencies)


def _flat_deployment(row: Deployment, currencies: Sequence[str]) -> Json:
    price = row.prices[0] if row.prices else None
    return {
        **_without_money(_row(Row(row.name, row.cost)), currencies),
        "models": " ".join(row.models),
        "factor": row.factor,
        "factor_samples": row.samples,
        "price_per_million": price.per_million if price else None,
        "price_currency": price.currency if price else None,
        "price_source": price.source if price else None,
        "price_found_on": price.found_on if price else None,
    }


def _without_money(row: Json, currencies: Sequence[str]) -> Json:
    """`row` with the amounts of money beside the rest, in columns that are named after the currencies."""
    money: Mapping[str, Json] = row.pop("money")
    for currency in currencies:
        part = money.get(currency, {})
        row |= {f"{name}_{currency}": part.get(name, 0.0) for name in ("paid", "without", "saved", "output")}
    return row

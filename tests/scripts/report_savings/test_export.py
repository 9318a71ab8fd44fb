from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from report_savings.export import SCHEMA, By, as_csv, as_json
from report_savings.figures import Deployment, Figures, Row
from tests.scripts.report_savings.ledgers import request
from tests.scripts.report_savings.made_up import figures_of, of_every_kind, own_prices


def rows(figures: Figures, by: By) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(as_csv(figures, by))))


@pytest.mark.parametrize("name", of_every_kind())
def test_json_and_csv_say_what_the_figures_say(name: str) -> None:
    figures = of_every_kind()[name]
    document: dict[str, Any] = json.loads(as_json(figures))
    assert document["schema"] == SCHEMA
    assert document["total"]["saved_units"] == figures.total.saved
    assert document["total"]["share"] == figures.total.share
    by_cost: dict[By, Sequence[Row | Deployment]] = {
        By.DAY: figures.days,
        By.PROJECT: figures.projects,
        By.DEPLOYMENT: figures.deployments,
    }
    for by, rows_of in by_cost.items():
        listed = document[f"by_{by}"]
        table = rows(figures, by)
        assert len(rows_of) == len(listed) == len(table)
        for row, one, cells in zip(rows_of, listed, table, strict=True):
            assert one["name"] == cells[by] == row.name
            assert one["paid_units"] == float(cells["paid_units"]) == row.cost.paid
            assert one["saved_units"] == float(cells["saved_units"]) == row.cost.saved
            assert cells["share"] == ("" if row.cost.share is None else str(row.cost.share))
            assert set(one["money"]) == {money.currency for money in row.cost.money}
            for money in row.cost.money:
                assert one["money"][money.currency]["saved"] == float(cells[f"saved_{money.currency}"]) == money.saved
    for by, contents in ((By.TOOL, figures.tools), (By.KIND, figures.kinds)):
        table = rows(figures, by)
        assert len(contents) == len(document[f"by_{by}"]) == len(table)
        for content, one, cells in zip(contents, document[f"by_{by}"], table, strict=True):
            assert one["name"] == cells[by] == content.name
            assert one["saved_units"] == float(cells["saved_units"]) == content.saved
            assert one["o200k_tokens_removed"] == int(cells["o200k_tokens_removed"]) == content.removed


def test_names_stay() -> None:
    """Programs rely on them: where one changes, SCHEMA goes up."""
    document = json.loads(as_json(of_every_kind()["held out"]))
    assert list(document) == [
        *("schema", "first", "last", "conversations", "holdout_requests", "unreadable_requests", "total", "by_day"),
        "by_project",
        *("by_deployment", "by_tool", "by_kind", "outcomes", "endings", "modes", "prompt_cache", "added_ms"),
        *("results", "evidence"),
    ]
    cost = [
        *("requests", "billed_requests", "unpriced_requests", "paid_units", "without_units", "saved_units", "share"),
        *("output_units", "removed_tokens", "observed_tokens", "could_save_units", "money"),
    ]
    assert list(document["total"]) == cost
    assert list(document["by_day"][0]) == ["name", *cost]
    assert list(document["total"]["money"]["USD"]) == ["requests", "paid", "without", "saved", "output"]
    assert list(document["prompt_cache"]) == ["warm", "hits", "causes", "kept"]
    assert list(document["added_ms"]) == ["p50", "p95", "longest"]
    assert list(document["results"]) == ["results", "errors", "rereads", "set_aside", "recalled"]
    assert document["evidence"]["holdout"] == {"sessions": 50, "turns": 1000}
    assert document["evidence"]["comparisons"][0]["interval"] == {"low": 0.7, "high": 0.81}


def test_each_currency_has_its_columns(tmp_path: Path) -> None:
    prices = own_prices(tmp_path, ("mine", 2.0))
    entries = [request(), request(model="mine", deployment="other")]
    table = {row["deployment"]: row for row in rows(figures_of(entries, prices), By.DEPLOYMENT)}
    assert float(table["opus"]["paid_USD"]) > 0
    assert float(table["opus"]["paid_EUR"]) == 0
    assert float(table["other"]["paid_EUR"]) > 0
    assert (table["opus"]["price_per_million"], table["opus"]["price_currency"]) == ("5.0", "USD")
    assert table["opus"]["models"] == "claude-opus-4-6"


def test_without_rows_there_is_a_heading() -> None:
    for by in By:
        assert as_csv(of_every_kind()["nothing"], by).splitlines()[0].split(",")[0] == by
        assert rows(of_every_kind()["nothing"], by) == []


def test_no_name_is_a_formula() -> None:
    [row] = rows(figures_of([request(deployment="=1+1")]), By.DEPLOYMENT)
    assert row["deployment"] == "'=1+1"

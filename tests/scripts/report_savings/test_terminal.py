from __future__ import annotations

import io
import re
from datetime import UTC
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from billing.cache_health import Cause
from billing.usage import Usage
from report_savings.figures import Figures
from report_savings.terminal import show
from tests.scripts.report_savings.ledgers import NOON, conversation, request
from tests.scripts.report_savings.made_up import STEERING, figures_of, of_every_kind, own_prices


def shown(figures: Figures, width: int = 120) -> str:
    out = io.StringIO()
    show(figures, Console(file=out, width=width, highlight=False), UTC)
    return out.getvalue()


def in_one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", of_every_kind())
def test_it_fits_and_no_number_is_cut(name: str, width: int) -> None:
    text = shown(of_every_kind()[name], width)
    assert [line for line in text.splitlines() if cell_len(line) > width] == []
    assert "…" not in text
    assert not re.search(r"\bnan\b|\binf\b", text)


def test_the_whole_report() -> None:
    text = in_one_line(shown(of_every_kind()["usual"]))
    assert text.startswith("10 requests in 2 conversations, 2026-08-12 12:00 to 2026-09-21 14:30")
    assert re.search(r"Saved \d\.\d% of the input bill: [\d.,]+k units \(estimated\)\.", text)
    assert re.search(r"Saved 0\.\d+ USD \(estimated\), at list prices or your own: ", text)
    assert re.search(r"Paid for input: [\d.]+k units \(measured\)\. Without: [\d.]+k units \(estimated\)\.", text)
    assert "1 request ended before the service told a bill" in text
    for part in (
        "2026-09-21 Mon",
        "shop",
        "bank",
        "opus",
        "1.18, assumed",
        "5.00 USD (2026-11-25)",
        "Read",
        "numbered",
    ):
        assert part in text
    assert "nothing in it could be written in fewer tokens 1 10.0%" in text
    assert "of-a-later-version 1 10.0%" in text
    assert "6 requests should have found the prompt cache warm; 6 (100.0%) read what was there (measured)." in text
    assert "Half of the requests waited 4.0 ms or less for the addon" in text
    assert "refused by the service (status 400 or above) 1 10.0%" in text
    assert "Holdout" not in text


def test_a_narrow_one_leaves_out_what_is_not_needed() -> None:
    usual = of_every_kind()["usual"]
    wide, middle, narrow = (shown(usual, width) for width in (120, 80, 60))
    assert "without, USD" in wide
    assert "without, USD" in in_one_line(middle)
    assert "without, USD" not in in_one_line(narrow)
    assert "█" in wide
    assert "█" not in middle


def test_much_money_has_two_decimals() -> None:
    text = in_one_line(shown(figures_of([request(usage=Usage(uncached=100_000_000))])))
    assert re.search(r"2026-09-21 Mon 1 500\.00 500\.\d\d 0\.\d\d 0\.0%", text)


def test_a_loss_is_called_one() -> None:
    text = in_one_line(shown(of_every_kind()["broken cache"]))
    assert re.search(r"It became dearer by \d+\.\d% of the input bill, [\d.,]+k? units \(estimated\)\.", text)
    assert re.search(r"Dearer by 0\.\d+ USD \(estimated\)", text)
    assert re.search(r"2026-09-21 Mon 4 0\.\d{4} 0\.\d{4} -0\.\d{4} -\d", text)
    assert "Saved" not in text
    assert f"{Cause.OURS.sentence} 1 " in text
    assert "3 set aside, 1 brought back." in text


def test_how_long_a_prompt_cache_was_kept_where_that_is_worth_a_word() -> None:
    read = Usage(uncached=100, cache_read=30_000, cache_write_5m=100)
    late = [request(at=NOON + 520, follows="c1", gap=400.0, usage=read)]
    said = "opus: a prompt cache that should stay 5 min was read after 6.7 min at most (measured)."
    assert said in in_one_line(shown(figures_of([*conversation(3), *late])))
    assert "that should stay" not in shown(figures_of(conversation(3)))


def test_without_a_known_price_costs_are_in_units() -> None:
    text = in_one_line(shown(of_every_kind()["unpriced"]))
    assert "No price is known for these models, so costs are in units." in text
    assert "saved, units of input bill" in text
    assert "USD" not in text


def test_where_some_prices_are_known_both_are_told(tmp_path: Path) -> None:
    text = in_one_line(shown(of_every_kind()["partly priced"]))
    assert "USD in 9 requests of known price (estimated)" in text
    assert "1 request have no known price" not in text
    assert "Counted in units only, since no price is known: 1 request." in text
    assert "saved, units of input bill" in text
    prices = own_prices(tmp_path, ("mine", 2.0))
    two = in_one_line(shown(figures_of([request(), request(model="mine")], prices)))
    assert "EUR in 1 request of known price" in two
    assert "USD in 1 request of known price" in two


def test_no_bill_at_all() -> None:
    text = in_one_line(shown(of_every_kind()["unbilled"]))
    assert "No request has a known bill, so nothing can be said of costs." in text
    assert "the service could not be reached 1 100.0%" in text
    assert "By day" not in text


def test_what_the_mode_observe_found() -> None:
    text = in_one_line(shown(of_every_kind()["observed"]))
    assert "Saved 0.0% of the input bill: 0 units (estimated)." in text
    assert "The mode observe changed nothing. Another would have kept out 10.6k tokens as billed, and saved" in text


def test_both_arms_of_a_holdout() -> None:
    text = in_one_line(shown(of_every_kind()["held out"]))
    assert "50 sessions (1,000 requests) left alone, beside 200 sessions (4,000 requests) treated." in text
    assert "input units a request 9,000 12.0k 0.75 0.70 to 0.81" in text
    assert "failed results, of all 0.050 0.000 - -" in text
    assert "Too few sessions in one of them" in in_one_line(shown(of_every_kind()["held out, too few"]))


def test_names_cannot_steer_the_terminal() -> None:
    text = shown(of_every_kind()["hostile"])
    assert not any(character in text for character in "\x1b\x07")
    assert "[bold]" in shown(figures_of([request(deployment="[bold]x")]))
    assert STEERING.replace("\x1b", "·").replace("\x07", "·") in text


def test_the_last_of_many_days_and_the_largest_of_many_tools() -> None:
    text = shown(of_every_kind()["wide"])
    assert "2026-09-21" not in text.split("By day")[1].split("By project")[0]
    assert "2026-11-09" in text
    assert text.count("19 more: --csv, --json or --html") == 3


def test_where_the_factor_was_learned_nothing_is_said_to_be_assumed() -> None:
    turns = conversation(8, counted=1000)
    billed = [request(**{name: getattr(turn, name) for name in ("at", "follows", "counted")}) for turn in turns]
    assert "assumed" in shown(figures_of(billed))
    assert turns[0].at == NOON

"""Figures of made-up requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, tzinfo
from pathlib import Path

from billing.accounts import Accounts
from billing.calibration import Calibration
from billing.entry import Change, Ending, Entry
from billing.evidence import Arm, Comparison, Evidence, Interval
from billing.prices import Prices
from billing.usage import Usage
from report_savings.adding_up import add_up
from report_savings.figures import Figures
from tests.scripts.report_savings.ledgers import DAY, NOON, OTHER_SESSION, SESSION, conversation, request

NAMES = {SESSION: "shop", OTHER_SESSION: "bank"}


def figures_of(
    entries: Iterable[Entry],
    prices: Prices | None = None,
    names: Mapping[str, str] = NAMES,
    zone: tzinfo = UTC,
) -> Figures:
    prices = prices or Prices.load()
    accounts = Accounts(Calibration(), prices)
    return add_up(
        (accounts.add(entry) for entry in entries),
        prices=prices,
        calibration=accounts.calibration,
        projects_of=lambda sessions: {one: names[one] for one in sessions if one in names},
        zone=zone,
    )


def own_prices(folder: Path, *rows: tuple[str, float], currency: str = "EUR") -> Prices:
    """Prices for models whose names match, with the usual ratios."""
    file = folder / "prices.toml"
    text = f'currency = "{currency}"\n'
    for match, price in rows:
        text += f"[[price]]\nmatch = '{match}'\ninput = {price}\ncache_read = {price / 10}\noutput = {price * 5}\n"
        text += f"cache_write_5m = {price * 1.25}\ncache_write_1h = {price * 2}\n"
    file.write_text(text)
    return Prices.load(file)


EVIDENCE = Evidence(
    Arm(200, 4000),
    Arm(50, 1000),
    (
        Comparison("input units a request", 9_000.0, 12_000.0, 0.75, Interval(0.7, 0.81)),
        Comparison("failed results, of all", 0.05, 0.0, None, None),
    ),
)

STEERING = "\x1b]0;x\x07<b onclick='x'>&</b>"


def of_every_kind() -> dict[str, Figures]:
    """Figures that differ in what they have, by a name."""
    usual = [
        *conversation(4, conversation="c1", at=NOON - 40 * DAY),
        *conversation(4, conversation="c2", session=OTHER_SESSION, deployment="haiku", model="claude-haiku-4-5"),
        request(at=NOON + 9000, conversation="", session="", outcome="nothing-to-do", changes=()),
        request(at=NOON + 9001, ending=Ending.REFUSED, status=429, usage=None, outcome="of-a-later-version"),
    ]
    broken = [
        *conversation(3),
        request(
            at=NOON + 170,
            follows="c1",
            gap=50.0,
            moved=True,
            set_aside=3,
            recalled=1,
            usage=Usage(uncached=100, cache_read=12_000, cache_write_5m=30_000, output=10),
        ),
    ]
    return {
        "nothing": figures_of([]),
        "one": figures_of([request()]),
        "usual": figures_of(usual),
        "unbilled": figures_of([request(usage=None, ending=Ending.UNREACHED, status=0)]),
        "free": figures_of([request(usage=Usage())]),
        "unpriced": figures_of([request(model="m", deployment="d")]),
        "partly priced": figures_of([*usual, request(at=NOON + 9100, model="m", deployment="d")]),
        "observed": figures_of(conversation(3, outcome="observed", mode="observe")),
        "broken cache": figures_of(broken),
        "held out": replace(figures_of([request(outcome="holdout", holdout=True, changes=())]), evidence=EVIDENCE),
        "held out, too few": replace(
            figures_of([request(holdout=True)]), evidence=Evidence(Arm(1, 2), Arm(1, 1), comparisons=())
        ),
        "hostile": figures_of(
            [
                request(
                    deployment=STEERING,
                    model=STEERING,
                    outcome=STEERING,
                    changes=(Change(STEERING, STEERING, 1, 9, 1),),
                )
            ],
            names={SESSION: STEERING},
        ),
        "wide": figures_of(
            [
                request(
                    at=NOON + number * DAY,
                    conversation=f"c{number}",
                    deployment=f"a-rather-long-name-of-a-deployment-{number}",
                    changes=(Change(f"mcp__a_rather_long_name__{number}", "numbered", 1, 9_000_000, 1_000),),
                    usage=Usage(uncached=123_456_789, cache_read=999_999_999, output=88_888_888),
                )
                for number in range(50)
            ]
        ),
    }

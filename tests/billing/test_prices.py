from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from billing.prices import PriceError, Prices, Ratios
from billing.usage import Usage

OWN = """
currency = "EUR"
[[price]]
match = 'opus'
input = 2.0
cache_read = 0.5
output = 8.0
"""


@pytest.mark.parametrize(
    ("deployment", "model", "input_"),
    [
        ("claude-sonnet-4-5", "", 3.0),
        ("my-deployment", "claude-sonnet-4-5-20250929", 3.0),
        ("prod-gpt-5", "claude-opus-4-1-20250805", 15.0),  # what answers counts, not what it is called
        ("Claude-Opus-4-5", "", 5.0),
        ("claude-opus-5-5", "", 4.0),
        ("claude-haiku-4-5", "", 1.0),
        ("claude-3-5-haiku-latest", "", 0.8),
        ("gpt-5", "gpt-5-2025-08-07", 1.25),
        ("gpt-5-mini", "", 0.25),
        ("gpt-4.1-nano", "", 0.1),
        ("o3", "", 2.0),
        ("o3-mini", "", 1.1),
        # As Vertex AI and Bedrock name them.
        ("claude-sonnet-4-5@20250929", "", 3.0),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "", 3.0),
        ("global.anthropic.claude-opus-4-6-v1", "", 5.0),
        ("anthropic.claude-opus-4-20250514-v1:0", "", 15.0),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.anthropic.claude-haiku-4-5-20251001-v1:0",
            "",
            1.0,
        ),
        ("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/x1", "claude-opus-4-1-20250805", 15.0),
        ("claude-3-5-haiku@20241022", "", 0.8),
        ("us.anthropic.claude-fable-5-20260609-v1:0", "", 10.0),
        ("us.anthropic.claude-fable-5-2-v1:0", "", 8.0),
        ("", "claude-fable-5-2", 8.0),
        ("", "claude-fable-5-1", 10.0),
        ("", "claude-mythos-5-20260609", 10.0),
        ("", "claude-sonnet-4-20250514", 3.0),
        ("", "gpt-5.2-codex", 1.75),
        ("", "gpt-5.5-2026-04-23", 5.0),
        ("", "gpt-5.5-pro", 30.0),
        ("", "gpt-5.6-terra", 2.0),
        ("", "gpt-6.1-sol-2026-09-29", 2.0),
        ("", "gpt-6-luna", 0.1),
    ],
)
def test_list_prices(deployment: str, model: str, input_: float) -> None:
    price = Prices.load().of(deployment, model)
    assert price is not None
    assert (price.input, price.currency) == (input_, "USD")
    assert price.source
    assert isinstance(price.found_on, date)


@pytest.mark.parametrize(
    "name", ["", "my-deployment", "gpt-9", "photo3", "claude", "gpt-5.5-turbo", "claude-fable-5-9"]
)
def test_what_nobody_knows_has_no_price(name: str) -> None:
    assert Prices.load().of(name, "") is None


def test_a_longer_prompt_may_cost_more() -> None:
    prices = Prices.load()
    short, long = (prices.of("claude-haiku-5-5", "", tokens) for tokens in (100_000, 100_001))
    assert short is not None
    assert long is not None
    assert (short.input, long.input) == (0.1, 0.5)


def test_every_row_is_plausible() -> None:
    """Reading is cheaper than sending, writing and answering are dearer; so a figure in the wrong place shows."""
    for row in Prices.load()._rows:
        ratios = row.price.ratios
        assert 0 < ratios.cache_read <= 1 <= ratios.cache_write_5m <= ratios.cache_write_1h <= ratios.output
        assert row.price.source
        assert row.price.found_on is not None


def test_the_users_own_prices_come_first(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text(OWN)
    prices = Prices.load(file)
    own = prices.of("claude-opus-4-5", "")
    assert own is not None
    assert (own.input, own.currency, own.found_on) == (2.0, "EUR", None)
    assert own.ratios == Ratios(0.25, 1.0, 1.0, 4.0)
    assert own.of(1_000_000) == 2.0
    listed = prices.of("claude-sonnet-4-5", "")
    assert listed is not None
    assert listed.currency == "USD"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("price = 3", "Expected `array`"),
        (OWN + "inptu = 1.0", "unknown field `inptu`"),
        (OWN.replace("input = 2.0", ""), "missing required field `input`"),
        (OWN.replace("'opus'", "'('"), "subpattern"),
        (OWN.replace("2.0", "0.0"), "above 0"),
        (OWN.replace("8.0", "-8.0"), "`output` of 'opus'"),
        (OWN.replace("8.0", "nan"), "`output` of 'opus'"),
        (OWN.replace("2.0", "inf"), "`input` of 'opus'"),
        (OWN + "cache_write_5m = -1.0", "`cache_write_5m` of 'opus'"),
        ("[[", "prices.toml shows the form"),
    ],
)
def test_a_file_that_is_none_is_named(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(text)
    with pytest.raises(PriceError) as error:
        Prices.load(file)
    line = str(error.value)
    assert line.startswith(f"{file}: ")
    assert words in line
    assert "\n" not in line


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PriceError, match="cannot be read"):
        Prices.load(tmp_path / "none.toml")


def test_units() -> None:
    usage = Usage(uncached=100, cache_read=1000, cache_write_5m=40, cache_write_1h=10, output=7)
    ratios = Prices.load().ratios("claude-sonnet-4-5", "", "messages")
    assert ratios == pytest.approx(Ratios(0.1, 1.25, 2.0, 5.0)) or ratios.output == 5.0
    assert ratios.units(usage) == pytest.approx(100 + 100 + 50 + 20 + 35)


@pytest.mark.parametrize(
    ("usage", "price"),
    [
        (Usage(uncached=3, cache_write_5m=40), 1.25),
        (Usage(uncached=3, cache_write_5m=40, cache_write_1h=10), (50 + 20) / 50),
        (Usage(uncached=3, cache_write_1h=40), 2.0),
        (Usage(uncached=3), 1.0),
        (Usage(uncached=9_000, cache_write_5m=2_000), 1.0),  # the head was written, the messages were not
        (Usage(cache_read=5), 1.25),
    ],
)
def test_what_one_more_new_token_would_have_cost(usage: Usage, price: float) -> None:
    assert Ratios().new_token(usage) == pytest.approx(price)


@pytest.mark.parametrize(
    ("endpoint", "write"), [("messages", 1.25), ("chat_completions", 1.0), ("responses", 1.0), ("unknown", 1.25)]
)
def test_without_a_price_the_wire_format_tells_what_is_usual(endpoint: str, write: float) -> None:
    assert Prices.load().ratios("my-deployment", "", endpoint).cache_write_5m == write

"""What tokens cost: a table of list prices, and the user's own."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import msgspec

from billing.usage import Usage

__all__ = ["LIST_PRICES", "WITHOUT_WRITES", "Price", "PriceError", "Prices", "Ratios"]

LIST_PRICES = Path(__file__).with_name("prices.toml")

WITHOUT_WRITES = frozenset({"chat_completions", "responses", "compact"})
"""The endpoints (`host_rules.Endpoint`) whose answers do not tell what was written to the prompt cache."""

_MILLION = 1e6
_NAMES_KEPT = 256
_PRICES = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
_MOST = 1e9  # for a million tokens, in any currency
# Below this share of what was new in a request, the writes are those of its head, and what follows was not written.
_WRITES = 0.25


class PriceError(Exception):
    """A file of prices cannot be used; one line that names it and says why."""


@dataclass(frozen=True, slots=True)
class Ratios:
    """What tokens cost in units, the price of one uncached input token."""

    cache_read: float = 0.1
    cache_write_5m: float = 1.25
    cache_write_1h: float = 2.0
    output: float = 5.0

    def input_units(self, usage: Usage) -> float:
        """What the input of a request costs."""
        writes = self.cache_write_5m * usage.cache_write_5m + self.cache_write_1h * usage.cache_write_1h
        return usage.uncached + self.cache_read * usage.cache_read + writes

    def units(self, usage: Usage) -> float:
        """What a request costs."""
        return self.input_units(usage) + self.output * usage.output

    def new_token(self, usage: Usage) -> float:
        """What one more token among the new ones of this request would have cost, in units.

        Where the request wrote to the cache, what a written token cost on the average: a client marks the end of its
        last message, and a few tokens behind it stay uncached. A client that marks no messages writes little else than
        the tools and the system prompt: then it is an uncached token, as where nothing was written.
        """
        written = usage.cache_write
        if not usage.uncached + written:
            return self.cache_write_5m
        if written <= _WRITES * (usage.uncached + written):
            return 1.0
        return (self.cache_write_5m * usage.cache_write_5m + self.cache_write_1h * usage.cache_write_1h) / written


# Anthropic's ratios until the models 5.5, and those of OpenAI's GPT-5 family; others stand in the table.
_ANTHROPIC = Ratios()
_NO_WRITE_PRICE = Ratios(cache_write_5m=1.0, cache_write_1h=1.0, output=8.0)


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, in a currency for a million tokens; `found_on` is the day for which that is known."""

    input: float
    ratios: Ratios
    currency: str
    source: str
    found_on: date | None

    def of(self, units: float) -> float:
        """What so many units cost."""
        return units * self.input / _MILLION


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    match: str
    input: float
    cache_read: float
    output: float
    cache_write_5m: float | None = None
    cache_write_1h: float | None = None
    above: int = 0
    date: date | None = None
    source: str = ""


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    price: list[_Row]
    currency: str = "USD"


@dataclass(frozen=True, slots=True)
class _Matching:
    pattern: re.Pattern[str]
    above: int
    price: Price


class Prices:
    """The rows of one or two tables, in the order in which they count."""

    def __init__(self, rows: tuple[_Matching, ...]) -> None:
        self._rows = rows
        self._matching = lru_cache(_NAMES_KEPT)(self._find)  # each request asks more than once, by the same names

    @classmethod
    def load(cls, user_file: Path | None = None) -> Prices:
        """The list prices, behind those of `user_file`. Raises PriceError."""
        own = () if user_file is None else _rows(user_file)
        return cls((*own, *_list_prices()))

    def of(self, deployment: str, model: str, input_tokens: int = 0) -> Price | None:
        """What a request with so many input tokens is charged by; None where no row matches."""
        return next((row.price for row in self._matching(deployment, model) if input_tokens >= row.above), None)

    def _find(self, deployment: str, model: str) -> tuple[_Matching, ...]:
        """The rows that match, in the order in which they count."""
        names = filter(None, (model.lower(), deployment.lower()))
        return tuple(row for name in names for row in self._rows if row.pattern.search(name))

    def ratios(self, deployment: str, model: str, endpoint: str, input_tokens: int = 0) -> Ratios:
        """The same in units; where no row matches, what is usual for the wire format."""
        price = self.of(deployment, model, input_tokens)
        if price is not None:
            return price.ratios
        return _NO_WRITE_PRICE if endpoint in WITHOUT_WRITES else _ANTHROPIC


@cache
def _list_prices() -> tuple[_Matching, ...]:
    return _rows(LIST_PRICES)


def _rows(file: Path) -> tuple[_Matching, ...]:
    try:
        content: Any = tomllib.loads(file.read_text(encoding="utf-8"))
        table = msgspec.convert(content, _Table)
        return tuple(_matching(row, table.currency) for row in table.price)
    except OSError as error:
        raise PriceError(f"{file}: cannot be read ({error.strerror})") from None
    except (ValueError, msgspec.ValidationError, re.error) as error:
        raise PriceError(f"{file}: {' '.join(str(error).split())}; {LIST_PRICES.name} shows the form") from None


def _matching(row: _Row, currency: str) -> _Matching:
    for name in _PRICES:
        value = getattr(row, name)
        if value is not None and not (0 <= value < _MOST and (value or name != "input")):
            raise ValueError(f"`{name}` of {row.match!r} must be a price for a million tokens (`input`: above 0)")
    ratios = Ratios(
        row.cache_read / row.input,
        (row.input if row.cache_write_5m is None else row.cache_write_5m) / row.input,
        (row.input if row.cache_write_1h is None else row.cache_write_1h) / row.input,
        row.output / row.input,
    )
    price = Price(row.input, ratios, currency, row.source, row.date)
    return _Matching(re.compile(row.match), row.above + 1 if row.above else 0, price)

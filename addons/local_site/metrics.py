"""The sums for Prometheus, read at the moment at which it asks. Needs prometheus_client, which is optional.

What can go down as well as up (a request that we made dearer) is a gauge; beside it stand the two counters whose
difference it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from local_site import documents

try:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        InfoMetricFamily,
        Metric,
    )
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.registry import Collector
except ImportError:
    IS_AVAILABLE = False
else:
    IS_AVAILABLE = True

__all__ = ["HOW_TO_GET_IT", "IS_AVAILABLE", "exposition"]

HOW_TO_GET_IT = (
    "Metrics need the package prometheus_client: install it where mitmproxy is (uv pip install prometheus_client, or "
    "pip install prometheus_client) and start the proxy again."
)

type Read = Callable[[], Mapping[str, object]]


def exposition(ready: Read, stats: Read, accept: str) -> tuple[bytes, str]:
    """The text in the format that the header `accept` asks for, and its content type. Only if `IS_AVAILABLE`."""
    registry = CollectorRegistry()
    registry.register(_collector(ready(), stats()))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def _collector(ready: Mapping[str, object], stats: Mapping[str, object]) -> Collector:
    class Sums(Collector):
        def collect(self) -> Iterator[Metric]:
            yield from _about(ready, stats)
            yield from _requests(stats)
            yield from _costs(stats)
            yield from _cache(stats)

    return Sums()


def _about(ready: Mapping[str, object], stats: Mapping[str, object]) -> Iterator[Metric]:
    mode = documents.text(stats, "mode") or documents.text(ready, "mode")
    yield InfoMetricFamily("foundry_mode", "What is done to requests.", {"mode": _label(mode)})
    yield InfoMetricFamily(
        "foundry_compress", "The addon.", {"version": _label(documents.text(ready, "version") or "unknown")}
    )
    if since := documents.text(stats, "since"):
        began = datetime.fromisoformat(since).timestamp()
        yield GaugeMetricFamily("foundry_since_seconds", "When these sums began, in seconds since 1970.", began)


def _requests(stats: Mapping[str, object]) -> Iterator[Metric]:
    yield _labelled("foundry_requests", "Requests, by what was done to them.", "outcome", stats, "outcomes")
    yield _labelled("foundry_endings", "Requests, by how they ended.", "ending", stats, "endings")
    for name, help_text, key in (
        ("foundry_tokens_before", "Tokens (o200k_base) of rewritten results as they came.", "tokens_before"),
        ("foundry_tokens_after", "Tokens (o200k_base) of rewritten results as they were sent.", "tokens_after"),
        ("foundry_ledger_lost", "Requests that could not be written into the ledger.", "ledger_lost"),
    ):
        yield CounterMetricFamily(name, help_text, documents.number(stats, key))
    yield GaugeMetricFamily(
        "foundry_tokens_removed", "Tokens (o200k_base) removed so far.", documents.number(stats, "tokens_removed")
    )
    yield GaugeMetricFamily(
        "foundry_bytes_removed", "Bytes of bodies removed so far.", documents.number(stats, "bytes_removed")
    )
    added = documents.mapping(stats, "added_ms")
    up_to = documents.mapping(added, "up_to")
    buckets = [(str(float(limit) / 1000), documents.number(up_to, limit)) for limit in up_to if limit != "any"]
    histogram = HistogramMetricFamily("foundry_added_seconds", "How long requests waited for the addon.")
    histogram.add_metric(
        [], [*buckets, ("+Inf", documents.number(up_to, "any"))], documents.number(added, "sum") / 1000
    )
    yield histogram


def _costs(stats: Mapping[str, object]) -> Iterator[Metric]:
    units = "in units, the price of one uncached input token"
    yield CounterMetricFamily("foundry_units_paid", f"Billed, {units}.", documents.number(stats, "units_paid"))
    yield CounterMetricFamily(
        "foundry_units_without",
        f"Estimate of the bill without the addon, {units}.",
        documents.number(stats, "units_without"),
    )
    yield GaugeMetricFamily(
        "foundry_units_saved", f"Estimate of what was saved so far, {units}.", documents.number(stats, "units_saved")
    )
    paid = CounterMetricFamily("foundry_money_paid", "Billed, at the prices known here.", labels=["currency"])
    without = CounterMetricFamily(
        "foundry_money_without", "Estimate of the bill without the addon.", labels=["currency"]
    )
    money = documents.mapping(stats, "money")
    for currency in money:
        costs = documents.mapping(money, currency)
        paid.add_metric([_label(currency)], documents.number(costs, "paid"))
        without.add_metric([_label(currency)], documents.number(costs, "without"))
    yield from (paid, without)
    billed = CounterMetricFamily(
        "foundry_billed_tokens", "Tokens that the service billed.", labels=["kind", "deployment"]
    )
    deployments = documents.mapping(stats, "deployments")
    for deployment in deployments:
        kinds = documents.mapping(documents.mapping(deployments, deployment), "billed")
        for kind in kinds:
            billed.add_metric([_label(kind), _label(deployment)], documents.number(kinds, kind))
    yield billed


def _cache(stats: Mapping[str, object]) -> Iterator[Metric]:
    causes = documents.mapping(stats, "cache")
    hits = documents.number(causes, "hit")
    yield CounterMetricFamily("foundry_cache_hits", "Requests that read the prompt cache as expected.", hits)
    misses = CounterMetricFamily(
        "foundry_cache_misses", "Requests that read less of the prompt cache than was there.", labels=["cause"]
    )
    for cause in causes.keys() - {"hit"}:
        misses.add_metric([_label(cause)], documents.number(causes, cause))
    yield misses
    yield _labelled(
        "foundry_cache_lost_tokens", "Tokens that stood in the cache and were not read.", "cause", stats, "cache_lost"
    )


def _labelled(name: str, help_text: str, label: str, stats: Mapping[str, object], key: str) -> CounterMetricFamily:
    family = CounterMetricFamily(name, help_text, labels=[label])
    numbers = documents.mapping(stats, key)
    for value in numbers:
        family.add_metric([_label(value)], documents.number(numbers, value))
    return family


def _label(text: str) -> str:
    """`text` as something that can be written in UTF-8: half a pair of surrogates cannot."""
    return text.encode("utf-8", "replace").decode()

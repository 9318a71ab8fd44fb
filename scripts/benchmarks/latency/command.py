"""The command line: what to measure, and the figures as a table or a plot."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.latency import measures
from benchmarks.latency.measures import Sample
from benchmarks.latency.plot import plot
from benchmarks.latency.proxies import started

__all__ = ["main"]

_KB, _MB = 1_000, 1_000_000
_SIZES = (10 * _KB, 100 * _KB, 500 * _KB, 2 * _MB, 8 * _MB)
_ALL = ("bare", "idle", "ours")
_HELP = """\
Measures what the addon costs, beside a mitmdump without it (bare) and one with an addon that does nothing (idle).
All on loopback, request by request in turn. Ratios are those of quantiles, to bare. On a quiet machine only.
"""


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("scripts/bench", description=_HELP)
    parser.add_argument(
        "what", nargs="*", help="warm, first-seen, resumed, stream, throughput (all unless told); memory"
    )
    parser.add_argument(
        "--requests", type=int, default=40, help="requests of each kind and size (default: %(default)s)"
    )
    parser.add_argument("--most", type=float, default=8, metavar="MB", help="the largest body (default: %(default)s)")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="write a plot of the times, too")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", help="an option of the addon")
    parser.add_argument("--web", action="store_true", help="measure the memory of mitmweb instead of mitmdump")
    given = parser.parse_args(arguments)
    what = given.what or ["warm", "first-seen", "resumed", "stream", "throughput"]
    options = dict(one.split("=", 1) for one in given.set)
    sizes = [size for size in _SIZES if size <= given.most * _MB]
    with tempfile.TemporaryDirectory(prefix="foundry-bench-") as folder:
        if "memory" in what:
            _memory(Path(folder), "web" if given.web else "ours", options)
            what = [one for one in what if one != "memory"]
        if what:
            samples = _measure(Path(folder), what, sizes, given.requests, options)
            if given.plot:
                given.plot.write_text(plot(samples), encoding="utf-8")


def _measure(
    folder: Path, what: Sequence[str], sizes: Sequence[int], requests: int, options: dict[str, str]
) -> list[Sample]:
    kinds = {"warm": measures.warm, "first-seen": measures.first_seen, "resumed": measures.resumed}
    samples: list[Sample] = []
    print(f"{'':12} {'bytes':>10}  {'proxy':6} {'p50 ms':>9} {'ratio':>6} {'p99 ms':>9} {'ratio':>6}")
    with started(folder, *_ALL, options=options) as proxies:
        for number, (kind, measure) in enumerate(kinds.items()):
            for size in sizes if kind in what else ():
                few = max(8, requests // (1 + size // _MB)) if kind != "warm" else requests
                samples += _shown(measure(proxies, size, few, 1000 * (10 * number + sizes.index(size))))
        if "stream" in what:
            samples += _shown(measures.streams(proxies, 4 * _MB, 5, 70_000))
        if "throughput" in what:
            _shown_rates(measures.throughput(proxies, 100 * _KB, 16, 4.0, 80_000))
    return samples


def _shown(samples: Sequence[Sample]) -> Sequence[Sample]:
    bare = samples[0]
    for sample in samples:
        p50, p99 = sample.quantile(0.5), sample.quantile(0.99)
        print(
            f"{sample.kind:12} {sample.size:>10,}  {sample.proxy:6}"
            f" {p50 * 1000:>9.2f} {p50 / bare.quantile(0.5):>6.2f}"
            f" {p99 * 1000:>9.2f} {p99 / bare.quantile(0.99):>6.2f}",
            flush=True,
        )
    return samples


def _shown_rates(samples: Iterable[Sample]) -> None:
    rates = {sample.proxy: sample for sample in samples}
    for name, sample in rates.items():
        rate = sample.quantile(0.5)
        ratio = rate / rates["bare"].quantile(0.5)
        print(
            f"{'throughput':12} {sample.size:>10,}  {name:6} {rate:>9.1f} requests/s, {ratio:.2f} of bare", flush=True
        )


def _memory(folder: Path, name: str, options: dict[str, str]) -> None:
    with started(folder, name, options=options) as (proxy,):
        measures.memory(proxy, _MB, 200, 5000, partial(print, flush=True))

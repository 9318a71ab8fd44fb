"""The page as HTML. Everything on it is there without JavaScript, but for the form that changes the mode.

What comes from outside goes through `_text`. The script asks for the page again and puts the contents of all elements
with `data-live` in the place of the old ones, so each of them has an id, and nothing that a person opens, scrolls or
types into is inside one.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from billing.accounts import Account
from configuring.possible_values import Mode
from local_site import documents
from local_site.chart import Chart, chart, svg
from local_site.live import Point
from local_site.verdict import Verdict
from local_site.words import CAUSES, NOTHING, amount, money, percent, things, what_was_done
from outcomes import words

__all__ = ["SHOWN_REQUESTS", "page"]

SHOWN_REQUESTS = 50
"""How many of the last requests the page shows."""

_LONGEST_TEXT = 80
_MOST_OF_THEM = 0.95

_MODES: Mapping[Mode, str] = {
    Mode.OFF: "off: requests pass through",
    Mode.OBSERVE: "observe: measure, change nothing",
    Mode.LOSSLESS: "lossless: everything stays in view",
    Mode.BALANCED: "balanced: set old results aside",
}


def page(  # noqa: PLR0913, PLR0917 - each is a thing of its own
    ready: Mapping[str, object],
    stats: Mapping[str, object],
    recent: Sequence[Account],
    history: Sequence[Point],
    verdict: Verdict,
    now: float,
) -> str:
    """The whole document; see `Model` for what it shows. `now` is in seconds since 1970."""
    mode = documents.text(stats, "mode") or documents.text(ready, "mode")
    shown = chart(history, now)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Foundry Compress</title>
<link rel="icon" href="/icon.svg">
<link rel="stylesheet" href="/page.css">
<script src="/page.js" defer></script>
</head>
<body>
<header>
<h1>Foundry Compress</h1>
<p id="about" data-live>{_about(ready, stats, mode, now)}</p>
</header>
<main>
<section aria-labelledby="state-title">
<h2 id="state-title">Does it work?</h2>
<div id="state" data-live aria-live="polite">{_state(verdict)}</div>
<p id="contact" class="warning" role="status"></p>
</section>
<section aria-labelledby="sums-title">
<h2 id="sums-title">Since the proxy started</h2>
<dl id="sums" class="cards" data-live>{_sums(stats, mode)}</dl>
</section>
<section aria-labelledby="chart-title">
<h2 id="chart-title">Cost over time</h2>
<figure>
<p class="legend"><span class="key paid"></span> paid <span class="key saved"></span> saved (estimate)</p>
<div id="chart" data-live>{_picture(shown)}</div>
<figcaption>A <i>unit</i> is the price of one uncached input token. Paid is what the service billed.</figcaption>
</figure>
<details><summary>The chart as a table</summary>
{_table("chart-rows", _CHART_COLUMNS, _bars(shown))}
</details>
</section>
<section aria-labelledby="requests-title">
<h2 id="requests-title">Last requests</h2>
<p class="note">Tokens before and after are o200k_base tokens of those tool results that were rewritten; what was read
from the cache or written to it is as the service billed it.</p>
{_table("requests", _REQUEST_COLUMNS, _requests(recent))}
</section>
<section aria-labelledby="cache-title">
<h2 id="cache-title">Prompt cache</h2>
{_table("cache", ("What requests found", "Requests", "Tokens not read"), _cache(stats))}
</section>
<section aria-labelledby="outcomes-title">
<h2 id="outcomes-title">What was done</h2>
{_table("outcomes", ("Outcome", "Requests"), _outcomes(stats))}
</section>
<section aria-labelledby="deployments-title">
<h2 id="deployments-title">Deployments</h2>
{_table("deployments", _DEPLOYMENT_COLUMNS, _deployments(stats))}
</section>
<section aria-labelledby="mode-title">
<h2 id="mode-title">Mode</h2>
<noscript><p>To change it here takes JavaScript; <code>scripts/mode</code> does it too.</p></noscript>
<form id="mode-form" hidden autocomplete="off">
<p><label for="mode">Mode</label> <select id="mode" name="mode">{_modes(mode)}</select></p>
<p><label for="token">Token, as printed when the proxy started</label>
<input id="token" name="token" type="password" autocomplete="off" spellcheck="false" required></p>
<p><input id="now" name="now" type="checkbox"> <label for="now">With off: at once, also where that costs the prompt
cache</label></p>
<p><button type="submit">Change the mode</button></p>
</form>
<p id="mode-says" role="status"></p>
</section>
</main>
<footer><p>The same for programs: <a href="/api/stats">sums</a>, <a href="/api/requests">last requests</a>,
<a href="/metrics">Prometheus</a>. Figures are those of this process; <code>scripts/report</code> has all of
them.</p></footer>
</body>
</html>
"""


_CHART_COLUMNS = ("From", "Requests", "Made smaller", "Tokens removed", "Units paid", "Units saved")
_REQUEST_COLUMNS = (
    "Time",
    "Deployment",
    "What was done",
    "Tokens before",
    "Tokens after",
    "Cache read",
    "Cache written",
    "Added ms",
)
_DEPLOYMENT_COLUMNS = ("Deployment", "Requests", "Uncached", "Cache read", "Cache written", "Output", "Units saved")


def _about(ready: Mapping[str, object], stats: Mapping[str, object], mode: str, now: float) -> str:
    since = documents.text(stats, "since")
    return (
        f"Version {_text(documents.text(ready, 'version') or NOTHING)}, mode <strong>{_text(mode)}</strong>, "
        f"counting since {_since(since)}. Figures of {_time(now)}."
    )


def _state(verdict: Verdict) -> str:
    lines = "".join(f"<li>{_text(line, len(line))}</li>" for line in verdict.lines)
    return (
        f'<p class="state {_text(verdict.state)}">{_text(verdict.headline, len(verdict.headline))}</p>'
        f"{f'<ul>{lines}</ul>' if lines else ''}"
    )


def _sums(stats: Mapping[str, object], mode: str) -> str:
    requests, rewritten = documents.count(stats, "requests"), documents.count(stats, "rewritten")
    saved, without = documents.number(stats, "units_saved"), documents.number(stats, "units_without")
    before = documents.number(stats, "tokens_before")
    removed = documents.number(stats, "tokens_removed")
    cards = [
        _card("requests", "Requests", f"{requests:,}", f"{rewritten:,} made smaller"),
        _card(
            "removed",
            "Tokens removed",
            amount(removed),
            f"{percent(removed / before)} of rewritten results" if before else "o200k_base",
        ),
    ]
    if mode == Mode.OBSERVE:
        observed = documents.number(stats, "tokens_observed")
        units = amount(documents.number(stats, "units_observed"))
        cards.append(
            _card("observed", "Would have been removed", amount(observed), f"tokens; {units} units (estimate)")
        )
    cards.append(
        _card(
            "saved",
            "Units saved (estimate)",
            amount(saved),
            f"{percent(saved / without)} of {amount(without)} units" if without else "nothing billed yet",
        )
    )
    cards += _money(stats)
    return "".join([*cards, _added(documents.mapping(stats, "added_ms"))])


def _money(stats: Mapping[str, object]) -> Iterable[str]:
    currencies = documents.mapping(stats, "money")
    unknown = documents.count(stats, "without_price")
    lacks = f"; {things(unknown, 'request')} without a known price not counted" if unknown else ""
    of = documents.text(stats, "prices_of")
    prices = f"prices of {of}" if of else "prices of your own"
    for currency in currencies:
        costs = documents.mapping(currencies, currency)
        paid = money(documents.number(costs, "paid"), currency)
        yield _card(
            f"money-{currency}",
            "Money saved (estimate)",
            money(documents.number(costs, "saved"), currency),
            f"{paid} paid; {prices}{lacks}",
        )


def _added(added: Mapping[str, object]) -> str:
    requests = documents.number(added, "count")
    if not requests:
        return _card("added", "Added to a request", NOTHING, "milliseconds")
    up_to = documents.mapping(added, "up_to")
    most = next((limit for limit in up_to if documents.number(up_to, limit) >= _MOST_OF_THEM * requests), "any")
    detail = "95 % of requests: longer than a second" if most == "any" else f"95 % of requests: up to {most} ms"
    return _card(
        "added", "Added to a request", f"{documents.number(added, 'sum') / requests:.1f} ms", f"mean; {detail}"
    )


def _card(key: str, name: str, value: str, detail: str) -> str:
    return (
        f'<div><dt>{_text(name)}</dt><dd data-figure="{_text(key)}">{_text(value)}</dd>'
        f'<dd class="detail">{_text(detail, 200)}</dd></div>'
    )


def _picture(shown: Chart) -> str:
    first, last = shown.bars[0].at, shown.bars[-1].at
    paid, saved = sum(bar.paid for bar in shown.bars), sum(bar.saved for bar in shown.bars)
    if shown.is_empty:
        says = f"Nothing was billed between {_clock(first)} and now."
    else:
        says = f"From {_clock(first)} until now, {amount(paid)} units were paid and {amount(saved)} saved."
    each = "a minute" if shown.minutes == 1 else f"{shown.minutes} minutes"
    return (
        f'<p id="chart-says">{_text(says, len(says))}</p>'
        f'<p class="scale" aria-hidden="true">{_text(amount(shown.top))} units in {each}</p>'
        f"{svg(shown, 'chart-title chart-says')}"
        f'<p class="axis" aria-hidden="true"><span>{_clock(first)}</span>'
        f"<span>{_clock(shown.bars[len(shown.bars) // 2].at)}</span><span>{_clock(last)}</span></p>"
    )


def _bars(shown: Chart) -> Iterable[Sequence[str]]:
    for bar in reversed(shown.bars):
        if bar.requests:
            yield (
                _time(bar.at),
                f"{bar.requests:,}",
                f"{bar.rewritten:,}",
                f"{bar.tokens_removed:,}",
                f"{bar.paid:,.0f}",
                f"{bar.saved:,.0f}",
            )


def _requests(recent: Sequence[Account]) -> Iterable[Sequence[str]]:
    for account in reversed(recent[-SHOWN_REQUESTS:]):
        entry, usage = account.entry, account.entry.usage
        done = what_was_done(account)
        yield (
            _time(entry.at),
            f"<bdi>{_text(entry.deployment or NOTHING)}</bdi>",
            _text(done, 300),
            f"{entry.tokens_before:,}" if entry.changes else NOTHING,
            f"{entry.tokens_after:,}" if entry.changes else NOTHING,
            f"{usage.cache_read:,}" if usage else NOTHING,
            f"{usage.cache_write:,}" if usage else NOTHING,
            f"{entry.added_ms:,.1f}",
        )


def _cache(stats: Mapping[str, object]) -> Iterable[Sequence[str]]:
    causes, lost = documents.mapping(stats, "cache"), documents.mapping(stats, "cache_lost")
    for cause in (*CAUSES, *sorted(causes.keys() - CAUSES.keys())):
        if cause in causes:
            yield (
                _text(CAUSES.get(cause, cause)),
                f"{documents.count(causes, cause):,}",
                f"{documents.count(lost, cause):,}",
            )


def _outcomes(stats: Mapping[str, object]) -> Iterable[Sequence[str]]:
    outcomes = documents.mapping(stats, "outcomes")
    for outcome in sorted(outcomes, key=lambda name: -documents.number(outcomes, name)):
        said = words(outcome)
        yield _text(said[:1].upper() + said[1:], 200), f"{documents.count(outcomes, outcome):,}"


def _deployments(stats: Mapping[str, object]) -> Iterable[Sequence[str]]:
    deployments = documents.mapping(stats, "deployments")
    for name in deployments:
        sums = documents.mapping(deployments, name)
        billed = documents.mapping(sums, "billed")
        written = documents.number(billed, "cache_write_5m") + documents.number(billed, "cache_write_1h")
        yield (
            f"<bdi>{_text(name or NOTHING)}</bdi>",
            f"{documents.count(sums, 'requests'):,}",
            amount(documents.number(billed, "uncached")),
            amount(documents.number(billed, "cache_read")),
            amount(written),
            amount(documents.number(billed, "output")),
            amount(documents.number(sums, "saved")),
        )


def _modes(mode: str) -> str:
    return "".join(
        f'<option value="{name}"{" selected" if name == mode else ""}>{_text(what)}</option>'
        for name, what in _MODES.items()
    )


def _table(key: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in a place that can be scrolled. `rows` hold HTML; their first cell is their heading."""
    heads = "".join(f'<th scope="col">{_text(column)}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>' for row in rows
    )
    none = f'<tr><td colspan="{len(columns)}">Nothing yet.</td></tr>'
    label = f"{_TABLE_NAMES[key]} (table)"
    return (
        f'<div class="scroll" role="region" aria-label="{_text(label)}" tabindex="0"><table class="{key}">'
        f'<thead><tr>{heads}</tr></thead><tbody id="{key}" data-live>{body or none}</tbody></table></div>'
    )


_TABLE_NAMES = {
    "chart-rows": "Cost over time",
    "requests": "Last requests",
    "cache": "Prompt cache",
    "outcomes": "What was done",
    "deployments": "Deployments",
}


def _text(text: str, longest: int = _LONGEST_TEXT) -> str:
    """`text` as HTML, in an attribute too, with what cannot be seen made visible."""
    shown = text if len(text) <= longest else f"{text[:longest]}…"
    if not shown.isprintable():
        shown = "".join(character if character.isprintable() else "·" for character in shown)
    return html.escape(shown)


def _time(at: float) -> str:
    moment = datetime.fromtimestamp(at, UTC)
    return f'<time datetime="{moment.isoformat(timespec="seconds")}">{moment.astimezone():%H:%M:%S}</time>'


def _since(given: str) -> str:
    try:
        moment = datetime.fromisoformat(given).astimezone()
    except ValueError:
        return NOTHING
    return f'<time datetime="{moment.isoformat(timespec="seconds")}">{moment:%Y-%m-%d %H:%M}</time>'


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC).astimezone():%H:%M}"

"""The report as one page of HTML: nothing is loaded, nothing runs, light and dark as the reader has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta, tzinfo
from html import escape

from report_savings.figures import Content, Cost, Figures, Row
from report_savings.plots import Bar, Pair, bars, columns
from report_savings.sections import Section, Table, costs_of, headline, notes, period, sections
from report_savings.words import amount, count, visible

__all__ = ["page"]

_MOST_DAYS = 120
_MOST_BARS = 10

_STYLE = """\
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --paper: #ffffff; --line: #dde2e8;
  --before: #b4bdc9; --after: #0f7b6c; --loss: #b3372b; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ee; --soft: #9aa5b3; --paper: #14181e; --line: #2e3640;
    --before: #566272; --after: #3fb8a4; --loss: #e5695c; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 54rem; padding: 2rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0; }
h2 { font-size: 1.1rem; margin: 2.5rem 0 .5rem; }
p { margin: .3rem 0; max-width: 44rem; }
.when, footer, caption { color: var(--soft); }
.first { font-size: 1.6rem; line-height: 1.25; font-weight: 600; margin: 1.2rem 0 .6rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: .6rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .75rem .3rem 0; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; color: var(--soft); }
.name { text-align: left; overflow-wrap: anywhere; }
td { white-space: nowrap; }
td.name { white-space: normal; }
.plot { display: block; width: 100%; height: auto; margin: .8rem 0; }
.plot text { fill: var(--soft); font: 12px system-ui, sans-serif; }
.plot .before { fill: var(--before); }
.plot .after { fill: var(--after); }
.plot .loss { fill: var(--loss); }
.plot .grid { stroke: var(--line); }
.plot .axis { stroke: var(--soft); }
.key::before { content: ""; display: inline-block; width: .8em; height: .8em; margin-right: .4em; }
.key.before::before { background: var(--before); }
.key.after::before { background: var(--after); }
.key { margin-right: 1.2em; }
footer { margin-top: 3rem; font-size: .9rem; }
@media print { body { max-width: none; } }
"""


def page(figures: Figures, zone: tzinfo | None = None) -> str:
    """The whole page."""
    return "\n".join(_page(figures, zone)) + "\n"


def _page(figures: Figures, zone: tzinfo | None) -> Iterator[str]:
    requests, conversations = count(figures.total.requests, "request"), count(figures.conversations, "conversation")
    yield "<!DOCTYPE html>"
    yield '<html lang="en">'
    yield "<head>"
    yield '<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield "<title>Foundry Compress: what was saved</title>"
    yield f"<style>\n{_STYLE}</style>"
    yield "</head>"
    yield "<body>"
    yield "<header>"
    yield "<h1>Foundry Compress: what was saved</h1>"
    yield f'<p class="when">{_text(f"{requests} in {conversations}, {period(figures, zone)}")}</p>'
    yield "</header>"
    yield "<main>"
    for at, line in enumerate(headline(figures)):
        yield f"<p{'' if at else ' class="first"'}>{_text(line)}</p>"
    for section in sections(figures):
        yield from _section(section, _plot(section.title, figures))
    yield "</main>"
    yield "<footer>"
    for line in notes(figures):
        yield f"<p>{_text(line)}</p>"
    yield "</footer>"
    yield "</body>"
    yield "</html>"


def _section(section: Section, plot: Sequence[str]) -> Iterator[str]:
    yield "<section>"
    yield f"<h2>{_text(section.title)}</h2>"
    for line in section.lines:
        if line not in _ONLY_ON_TERMINALS:
            yield f"<p>{_text(line)}</p>"
    yield from plot
    if section.table is not None:
        yield from _table(section.table)
    yield "</section>"


_ONLY_ON_TERMINALS = frozenset({"The bar shows what was saved."})


def _table(table: Table) -> Iterator[str]:
    kinds = [' class="name"' if column.is_name else "" for column in table.columns]
    yield '<div class="wide">'
    yield "<table>"
    heads = zip(kinds, table.columns, strict=True)
    titles = "".join(f'<th scope="col"{kind}>{_text(column.title)}</th>' for kind, column in heads)
    yield f"<thead><tr>{titles}</tr></thead>"
    yield "<tbody>"
    for row in table.rows:
        yield f"<tr>{''.join(f'<td{kind}>{_text(cell)}</td>' for kind, cell in zip(kinds, row, strict=True))}</tr>"
    yield "</tbody>"
    yield "</table>"
    yield "</div>"


def _plot(title: str, figures: Figures) -> list[str]:
    match title:
        case "By day":
            return _days(figures)
        case "By tool":
            return _contents("Saved by tool", figures.tools)
        case "By kind of content":
            return _contents("Saved by kind of content", figures.kinds)
    return []


def _days(figures: Figures) -> list[str]:
    of, shown, unit = costs_of(figures)
    pairs = [
        Pair(row.name, max(0.0, cost.without), max(0.0, cost.paid))
        for row, cost in ((row, of(row.cost)) for row in _every_day(figures.days))
    ]
    description = f"For each day two columns, in {unit}: what input would have cost without, and what it cost."
    key = '<p><span class="key before">without (estimated)</span><span class="key after">with (measured)</span></p>'
    return [key, columns("Cost of input by day", description, pairs, shown)]


def _every_day(rows: Sequence[Row]) -> list[Row]:
    """The last days, also those between them on which nothing was asked."""
    known: dict[date, Row] = {}
    for row in rows:
        try:
            known[date.fromisoformat(row.name)] = row
        except ValueError:  # the day is not known
            continue
    if not known:
        return []
    last = max(known)
    first = max(min(known), last - timedelta(days=_MOST_DAYS - 1))
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return [known.get(day, Row(day.isoformat(), Cost())) for day in days]


def _contents(title: str, rows: Sequence[Content]) -> list[str]:
    shown = [Bar(visible(row.name) or "unknown", row.saved) for row in rows[:_MOST_BARS]]
    rest = rows[_MOST_BARS:]
    if rest:
        shown.append(Bar(f"{len(rest):,} others", sum(row.saved for row in rest)))
    if not any(bar.value for bar in shown):
        return []
    return [bars(title, "One bar each, in units: what was saved, estimated.", shown, amount)]


def _text(text: str) -> str:
    return escape(visible(text))

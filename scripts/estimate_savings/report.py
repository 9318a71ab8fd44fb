"""The findings as tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

__all__ = ["report"]

type Json = dict[str, Any]

_ROWS = 12
_EXCERPT_LINES = 10
_WIDTH = 160
_USAGE = {
    "plain": "input, not cached",
    "write_5m": "cache writes, 5 minutes",
    "write_1h": "cache writes, 1 hour",
    "read": "cache reads",
}


def report(found: Json, console: Console) -> None:
    """Print what `findings` found."""
    for block in _blocks(found):
        console.print(block)


def _blocks(found: Json) -> Iterator[RenderableType]:
    transcripts, saved, results = found["transcripts"], found["saved"], found["tool_results"]
    yield Text(
        f"{_number(transcripts['requests'], 'request')} in {_number(transcripts['sessions'], 'session')}"
        f" of {_number(transcripts['projects'], 'project')} ({_number(transcripts['files'], 'transcript')}),"
        f" as the addon would have treated them in the mode {found['mode']}."
    )
    yield Text(
        f"It would have saved {saved['share']:.1%} of the input bill: {saved['units']:,.0f} of"
        f" {found['input_bill']['units']:,.0f} units (a unit is the price of one input token not cached).",
        style="bold",
    )
    yield Text(
        f"About {saved['billed_tokens']:,.0f} billed tokens fewer to read over all requests."
        f" The tool results themselves: {results['o200k_tokens_before']:,} tokens before,"
        f" {results['o200k_tokens_after']:,} after ({_smaller(results)} removed),"
        f" {results['rewritten']:,} of {_number(results['count'], 'result')} rewritten."
    )
    if found["set_aside"]:
        yield from _set_aside(found["set_aside"])
    yield Text()
    yield _bill(found["input_bill"])
    yield _by_payer("project", found["by_project"])
    yield _by_content("tool", found["by_tool"])
    yield _by_content("content kind", found["by_kind"])
    yield from _sessions(found["by_session"])
    for title, key in (
        ("Best: most removed", "best"),
        ("Worst: the least share removed, of those that were rewritten", "worst"),
    ):
        for number, example in enumerate(found[key], 1):
            yield _example(f"{title}, {number} of {len(found[key])}", example)
    yield from _notes(found)


def _set_aside(found: Json) -> Iterator[Text]:
    yield Text(
        f"Of that, {found['share']:.1%} of the bill comes from setting old results aside:"
        f" {_number(found['results'], 'result')}, {found['share_of_result_tokens']:.1%} of their tokens."
    )
    out, edits = found["edits_out_of_view"], _number(found["edits"], "request")
    line = f"Of {edits} that led to an edit, {out:,} ({found['share_of_edits']:.1%}) would have needed one more call,"
    line += " to read again what was set aside."
    if out:
        line += f" With those calls, {found['share_net_of_calls']:.1%} of the input bill would have been saved."
    yield Text(line)
    if found["written_again_units"]:
        yield Text(
            f"Already taken off: {found['written_again_units']:,.0f} units, where the cache was still there after a"
            " pause that should have ended it, and would have been written again."
        )


def _bill(bill: Json) -> Table:
    table = _table("what was billed", "tokens", "price", "units", "share")
    for name, label in _USAGE.items():
        count, price = bill["tokens"][name], bill["prices"][name]
        units = count * price
        table.add_row(label, f"{count:,}", f"{price:g}", f"{units:,.0f}", _percent(units, bill["units"]))
    table.add_section()
    table.add_row("input bill", f"{sum(bill['tokens'].values()):,}", "", f"{bill['units']:,.0f}", "")
    return table


def _by_payer(title: str, rows: list[Json]) -> Table:
    table = _table(title, "requests", "input bill, units", "saved, units", "saved of its bill")
    for row in rows[:_ROWS]:
        units = (f"{row['input_bill_units']:,.0f}", f"{row['saved_units']:,.0f}", f"{row['share']:.1%}")
        table.add_row(_visible(row["name"]), f"{row['requests']:,}", *units)
    _add_rest(table, rows, "requests", "input_bill_units", "saved_units")
    return table


def _by_content(title: str, rows: list[Json]) -> Table:
    table = _table(title, "results", "tokens before", "after", "removed", "saved, units", "saved of the bill")
    for row in rows[:_ROWS]:
        counts = (f"{row[name]:,}" for name in ("count", "o200k_tokens_before", "o200k_tokens_after"))
        table.add_row(
            _visible(row["name"]), *counts, _smaller(row), f"{row['saved_units']:,.0f}", f"{row['share']:.1%}"
        )
    _add_rest(table, rows, "count", "o200k_tokens_before", "o200k_tokens_after", "", "saved_units")
    return table


def _add_rest(table: Table, rows: list[Json], *names: str) -> None:
    rest = rows[_ROWS:]
    if rest:
        sums = (f"{sum(row[name] for row in rest):,.0f}" if name else "" for name in names)
        table.add_row(f"{len(rest)} more (all of them: --json)", *sums, style="dim")


def _sessions(rows: list[Json]) -> Iterator[Text]:
    shares = sorted((row["share"], row["name"]) for row in rows)
    if len(shares) > 1:
        (least, least_name), (most, most_name) = shares[0], shares[-1]
        yield Text(
            f"Of their own bills, sessions would have saved {least:.1%} (worst, {_visible(least_name)}) to"
            f" {most:.1%} (best, {_visible(most_name)}), half of them {shares[len(shares) // 2][0]:.1%} or more.\n"
        )


def _example(title: str, example: Json) -> Group:
    before, after = example["before"].split("\n"), example["after"].split("\n")
    heading = [] if after[0] == before[0] else after[:1]
    body = after[len(heading) :]
    # The same lines stand at the beginning of both as often as not.
    first = next((at for at, (old, new) in enumerate(zip_longest(before, body)) if old != new), 0)
    first = max(0, first - 1)
    return Group(
        Text(
            f"{title}: {_visible(example['tool'])}, {example['kind']},"
            f" {example['o200k_tokens_before']:,} tokens before, {example['o200k_tokens_after']:,} after",
            style="bold",
        ),
        *_excerpt("before", [], before, first),
        *_excerpt("after", heading, body, first),
        Text(),
    )


def _excerpt(title: str, heading: list[str], lines: list[str], first: int) -> Iterator[Text]:
    yield Text(f"{title}:", style="dim")
    yield from map(_quoted, heading)
    if first:
        yield Text(f"  | … {_number(first, 'line')} that {'is' if first == 1 else 'are'} the same", style="dim")
    yield from map(_quoted, lines[first : first + _EXCERPT_LINES])
    left = len(lines) - first - _EXCERPT_LINES
    if left > 0:
        yield Text(f"  | … {_number(left, 'more line')}", style="dim")


def _quoted(line: str) -> Text:
    shown = _visible(line)
    return Text("  | " + (shown if len(shown) <= _WIDTH else shown[: _WIDTH - 1] + "…"))


def _notes(found: Json) -> Iterator[Text]:
    transcripts = found["transcripts"]
    notes = [
        "This is an estimate. The bill is the transcripts' own: input only; output is billed too and stays the same.",
        "Transcripts of sessions that ran through the proxy have the lower bill already.",
        "A compaction's own request is in no transcript, so neither in the bill nor in the saving.",
    ]
    if found["set_aside"]:
        notes += [
            "Results are set aside after pauses longer than the prompt cache lives: an hour where the usage shows it.",
            "The tables show tool results as they were when they were last sent.",
            "One more call: 150 tokens of output, and 1,500 that come back and stay in all later requests.",
        ]
    for model, measured in found["tokens_per_o200k_token"].items():
        how = (
            f"measured on {_number(measured['samples'], 'pair')} of requests"
            if measured["samples"]
            else "assumed: the transcripts do not show it"
        )
        name = _visible(model) or "unnamed model"
        notes.append(f"{name}: {measured['factor']:.2f} billed tokens for each token counted (o200k_base), {how}.")
    if transcripts["requests_without_usage"]:
        notes.append(f"Without usage, so not in the sums: {_number(transcripts['requests_without_usage'], 'request')}.")
    if transcripts["unreadable_lines"]:
        notes.append(f"Not readable, passed over: {_number(transcripts['unreadable_lines'], 'line')}.")
    notes += [
        f"Not read to its end: {_visible(path)} ({_visible(why)})."
        for path, why in transcripts["skipped_files"].items()
    ]
    notes += [f"The engine left results alone because of an error: {name}." for name in transcripts["engine_problems"]]
    for note in notes:
        yield Text(note, style="dim")


def _table(*columns: str) -> Table:
    table = Table(title_justify="left", header_style="bold", expand=False)
    table.add_column(columns[0], overflow="fold")
    for column in columns[1:]:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _smaller(results: Json) -> str:
    before = results["o200k_tokens_before"]
    return _percent(before - results["o200k_tokens_after"], before)


def _percent(part: float, whole: float) -> str:
    return f"{part / whole if whole else 0.0:.1%}"


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _visible(text: str) -> str:
    """`text` without what could steer the terminal."""
    return "".join(
        character if character.isprintable() else {"\t": "    ", "\x1b": "␛", "\r": "⏎"}.get(character, "·")
        for character in text
    )

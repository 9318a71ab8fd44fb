"""The report on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import tzinfo

from rich import box
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from report_savings.figures import Figures
from report_savings.sections import Section, Table, headline, notes, period, sections
from report_savings.words import count, visible

__all__ = ["show"]

_ROOM = (0, 76)  # characters in a line that the ranks of a table's columns take
_BAR_ROOM = 110
_BAR = 16
_EIGHTHS = " ▏▎▍▌▋▊▉"
_ROWS = 31
_NAME = 16  # characters of a name that are not folded: a day has fewer


def show(figures: Figures, console: Console, zone: tzinfo | None = None) -> None:
    """Print the report as wide as `console` is."""
    for part in _parts(figures, console.width, zone):
        console.print(part)


def _parts(figures: Figures, width: int, zone: tzinfo | None) -> Iterator[RenderableType]:
    requests, conversations = count(figures.total.requests, "request"), count(figures.conversations, "conversation")
    yield Text(f"{requests} in {conversations}, {period(figures, zone)}")
    for at, line in enumerate(headline(figures)):
        yield Text(visible(line), style="" if at else "bold")
    for section in sections(figures):
        yield from _section(section, width)
    yield Text()
    for line in notes(figures):
        yield Text(visible(line), style="dim")


def _section(section: Section, width: int) -> Iterator[RenderableType]:
    yield Text()
    yield Text(section.title, style="bold")
    for line in section.lines:
        yield Text(visible(line))
    if section.table is not None:
        yield _grid(section.table, width)


def _grid(table: Table, width: int) -> Grid:
    shown = [at for at, column in enumerate(table.columns) if width >= _ROOM[column.rank]]
    has_bars = width >= _BAR_ROOM and len(table.bars) > 1
    grid = Grid(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False)
    for at in shown:
        column = table.columns[at]
        if column.is_name:
            grid.add_column(column.title, overflow="fold", min_width=min(_NAME, _longest(table, at)))
        else:
            grid.add_column(column.title, justify="right", min_width=_width(table, at))
    if has_bars:
        grid.add_column("", no_wrap=True, min_width=_BAR)
    bars = _bars(table.bars) if has_bars else []
    # Of many days the last ones matter, of all else the first: those are sorted by size.
    is_by_day = table.columns[0].title == "day"
    hidden = max(0, len(table.rows) - _ROWS)
    rows = range(hidden, len(table.rows)) if is_by_day else range(len(table.rows) - hidden)
    for row in rows:
        cells = [Text(visible(table.rows[row][at])) for at in shown]
        grid.add_row(*cells, *([bars[row]] if has_bars else []))
    if hidden:
        grid.caption = Text(f"{hidden:,} more: --csv, --json or --html", style="dim")
        grid.caption_justify = "left"
    return grid


def _width(table: Table, at: int) -> int:
    """What the numbers of a column need: they are never cut, their heading may be folded."""
    return max(len(word) for word in (*table.columns[at].title.split(), "x" * _longest(table, at)))


def _longest(table: Table, at: int) -> int:
    return max((cell_len(row[at]) for row in table.rows), default=0)


def _bars(values: Sequence[float]) -> list[Text]:
    most = max((abs(value) for value in values), default=0.0)
    return [_bar(value, most) for value in values]


def _bar(value: float, most: float) -> Text:
    eighths = round(abs(value) / most * _BAR * 8) if most else 0
    full, rest = divmod(eighths, 8)
    text = "█" * full + (_EIGHTHS[rest] if rest else "")
    return Text(text, style="green" if value >= 0 else "red")

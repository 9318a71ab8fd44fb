from __future__ import annotations

import re
from datetime import UTC
from html.parser import HTMLParser

import pytest

from report_savings.page import page
from tests.scripts.report_savings.ledgers import DAY, NOON, request
from tests.scripts.report_savings.made_up import figures_of, of_every_kind

_VOID = {"meta", "br", "link", "img", "input", "hr"}
_LOADS = {"src", "href", "xlink:href", "srcset", "data", "action", "poster", "style"}


class Reader(HTMLParser):
    """Notes what is in a page, and that everything that opens also closes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)


@pytest.mark.parametrize("name", of_every_kind())
def test_the_page_is_whole_and_loads_nothing(name: str) -> None:
    text = page(of_every_kind()[name], UTC)
    read = Reader(text)
    assert read.open == []
    assert not {"script", "link", "img", "iframe", "object", "embed", "image", "use"} & set(read.tags)
    assert [one for one in read.attributes if one[1] in _LOADS or one[1].startswith("on")] == []
    assert "http://" not in text
    assert "https://" not in text
    assert "url(" not in text
    assert "@import" not in text
    assert not re.search(r"\b(nan|inf)\b", text)
    ids = [value for _, name, value in read.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    named = [value for _, name, value in read.attributes if name == "aria-labelledby"]
    assert {one for value in named for one in value.split()} <= set(ids)


@pytest.mark.parametrize("name", of_every_kind())
def test_every_bar_lies_in_its_plot(name: str) -> None:
    text = page(of_every_kind()[name], UTC)
    for plot in re.findall(r'<svg class="plot" viewBox="0 0 (\d+) (\d+)"(.*?)</svg>', text, re.DOTALL):
        width, height = float(plot[0]), float(plot[1])
        rects = re.findall(r'<rect class="\w+" x="(.+?)" y="(.+?)" width="(.+?)" height="(.+?)"/>', plot[2])
        for x, y, wide, high in (tuple(map(float, rect)) for rect in rects):
            assert min(x, y, wide, high) >= 0
            assert x + wide <= width + 0.1
            assert y + high <= height + 0.1


def test_plots_say_what_they_show() -> None:
    read = Reader(page(of_every_kind()["usual"], UTC))
    assert read.tags.count("svg") == 3
    assert len([one for one in read.attributes if one[:2] == ("svg", "role")]) == 3
    assert read.tags.count("desc") == 3
    assert {"Cost of input by day", "Saved by tool", "Saved by kind of content"} <= set(read.texts["title"])


def test_days_without_requests_have_their_place() -> None:
    days = figures_of([request(at=NOON), request(at=NOON + 9 * DAY, conversation="c2")])
    assert page(days, UTC).count('<rect class="before"') == 10
    assert page(figures_of([request(at=0.0), request(at=NOON)]), UTC).count('<rect class="before"') == 120
    assert page(figures_of([request(at=1e17)]), UTC).count('<rect class="before"') == 0


def test_a_loss_goes_to_the_other_side() -> None:
    text = page(of_every_kind()["broken cache"], UTC)
    assert 'class="loss"' in text
    assert "It became dearer by" in text
    assert 'class="loss"' not in page(of_every_kind()["usual"], UTC)


def test_names_are_only_text() -> None:
    text = page(of_every_kind()["hostile"], UTC)
    assert "<b " not in text
    assert "&lt;b onclick=" in text
    assert not any(character in text for character in "\x1b\x07")


def test_light_and_dark() -> None:
    text = page(of_every_kind()["usual"], UTC)
    assert "color-scheme: light dark" in text
    assert "@media (prefers-color-scheme: dark)" in text


def test_all_rows_are_there() -> None:
    text = page(of_every_kind()["wide"], UTC)
    assert all(f"mcp__a_rather_long_name__{number}<" in text for number in range(50))
    assert "40 others" in text

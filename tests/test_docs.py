"""What README and docs/ say is there, and the examples in them are what the engine writes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import pytest

from compression_engine import statements
from compression_engine.content.lines import split_positions
from compression_engine.history import Shown, edit_of
from compression_engine.results import Source, fold, unfold
from configuring.foundry_options import OPTION_NAMES
from demo.report import as_shown
from launcher.command import HELP

PROJECT = Path(__file__).resolve().parents[1]
PAGES = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("**/*.md"), PROJECT / "certs" / "README.md"])
ARCHITECTURE = PROJECT / "docs" / "architecture.md"
ROBUSTNESS = PROJECT / "docs" / "robustness.md"
SECURITY = PROJECT / "docs" / "security.md"
SET_ASIDE = PROJECT / "docs" / "set-aside.md"
STATEMENTS = PROJECT / "docs" / "statements.md"

_LINK = re.compile(r"\]\(([^)#\s]+)")
_FENCE = re.compile(r"^```(\w+)(?: ([^\n]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_FILE = re.compile(r"(?<![\w./-])((?:addons|scripts|tests|certs|docs)/[\w./-]*\w)(?:::(\w+))?")
_OPTION = re.compile(r"\bfoundry_\w+")
_OWN_VARIABLE = re.compile(r"\bFOUNDRY_COMPRESS_\w+|\bCLAUDE_FOUNDRY_\w+")
# Made on the user's machine, or not an option though it is named like one.
_MADE_LATER = {"certs/mitmproxy-ca.pem", "certs/mitmproxy-ca-cert.pem"}
_NO_CLAIMS = {"What is at stake", "What nothing here defends against"}
_NO_OPTIONS = {"foundry_compress", "foundry_options"}

EXAMPLE_ID = "toolu_example"
_EXAMPLES = ("sent", "arrived", "edit")


def pages(pattern: re.Pattern[str]) -> Iterator[tuple[Path, re.Match[str]]]:
    """Where `pattern` is found outside examples of tool output, which name invented files."""
    for page in PAGES:
        text = _FENCE.sub(lambda fence: "" if fence[1] in _EXAMPLES else fence[0], page.read_text(encoding="utf-8"))
        for found in pattern.finditer(text):
            yield page, found


def test_the_pages_are_found() -> None:
    assert {PROJECT / "README.md", STATEMENTS} < set(PAGES)


def test_every_relative_link_leads_to_a_file() -> None:
    links = [(page, found[1]) for page, found in pages(_LINK) if "://" not in found[1]]
    assert links
    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []


def test_every_file_that_is_named_exists() -> None:
    named = [(page, found[1]) for page, found in pages(_FILE) if found[1] not in _MADE_LATER]
    assert named
    assert [(page.name, file) for page, file in named if not (PROJECT / file).exists()] == []


def test_every_page_is_linked_to() -> None:
    linked = {(page.parent / found[1]).resolve() for page, found in pages(_LINK) if "://" not in found[1]}
    assert [page.name for page in PAGES if page.name != "README.md" and page not in linked] == []


def test_the_map_leaves_out_no_module_and_no_package() -> None:
    """Where one module of a package has a row, all of them have."""
    named = {found[1] for found in _FILE.finditer(ARCHITECTURE.read_text(encoding="utf-8"))}
    every = {file.relative_to(PROJECT) for file in (PROJECT / "addons").rglob("*.py") if file.name != "__init__.py"}
    assert every
    shown = {module.parent for module in every if str(module) in named}
    packages = {parents[-3] for module in every if len(parents := list(module.parents)) > 2}
    packages |= {file.parent.relative_to(PROJECT) for file in (PROJECT / "scripts").glob("*/__init__.py")}
    assert sorted(str(module) for module in every if module.parent in shown and str(module) not in named) == []
    assert sorted(str(package) for package in packages if str(package) not in named) == []


def test_every_test_that_is_named_exists() -> None:
    named = [(found[1], found[2]) for _, found in pages(_FILE) if found[2]]
    assert named
    assert [
        f"{file}::{test}"
        for file, test in named
        if not re.search(rf"def {test}\(", (PROJECT / file).read_text(encoding="utf-8"))
    ] == []


def _claims(text: str) -> Iterator[str]:
    """The paragraphs and items of a page, but for what leads to a list, and for what nothing is done against."""
    for section in text.split("\n## ")[1:]:
        title, *paragraphs = section.split("\n\n")
        if title in _NO_CLAIMS:
            continue
        for paragraph, following in zip_longest(paragraphs, paragraphs[1:], fillvalue=""):
            if not paragraph.startswith("What remains:") and not following.startswith("- "):
                yield from filter(None, re.split(r"^- ", paragraph, flags=re.MULTILINE))


def test_every_claim_of_security_names_a_test() -> None:
    claims = list(_claims(SECURITY.read_text(encoding="utf-8")))
    assert len(claims) > 40
    assert [claim for claim in claims if "::test_" not in claim] == []


def test_whatever_happens_a_test_shows_it() -> None:
    tables = re.findall(r"(?:^\|.*\|\n)+", ROBUSTNESS.read_text(encoding="utf-8"), re.MULTILINE)
    shown = [row for table in map(str.splitlines, tables) if table[0].endswith("| test |") for row in table[2:]]
    assert len(shown) > 25
    assert [row for row in shown if "::test_" not in row.split("|")[-2]] == []


def test_every_option_that_is_named_exists_and_every_one_is_named() -> None:
    assert {found[0] for _, found in pages(_OPTION)} - _NO_OPTIONS == OPTION_NAMES


def test_every_variable_of_our_own_exists_and_every_one_is_named() -> None:
    assert {found[0] for _, found in pages(_OWN_VARIABLE)} == set(_OWN_VARIABLE.findall(HELP))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_names_a_place_on_somebodys_machine(page: Path) -> None:
    assert not re.search(r"/(?:root|work|tmp/lab)\b", page.read_text(encoding="utf-8"))


# docs/statements.md


def _statement(line: str) -> bool:
    """Whether `line` as a whole is a statement of the engine."""
    return (
        statements.read_heading(f"{line}\n", line[6:12]) is not None
        or statements.read_reference(line) is not None
        or statements.read_repeat(line) is not None
        or statements.read_pattern(line) is not None
    )


def _is_fact(fact: str) -> bool:
    """Whether a heading can state this."""
    constants = {value for name, value in vars(statements).items() if name in statements.__all__ and name.isupper()}
    return (
        fact in constants - {statements.THE_EDIT}
        or statements.read_numbered(fact) is not None
        or statements.read_grouped(fact) is not None
        or statements.read_document(fact) is not None
    )


def test_every_statement_is_recognised() -> None:
    text = STATEMENTS.read_text(encoding="utf-8")
    lines = [line for kind, _, body in _FENCE.findall(text) if kind == "statement" for line in body.splitlines()]
    lines += [
        line
        for kind, _, body in _FENCE.findall(text)
        if kind == "arrived"
        for line in body.splitlines()
        if re.match(r"\[(?:view|lines?|next) ", line)
    ]
    lines += [piece for piece in _INLINE.findall(_FENCE.sub("", text)) if re.match(r"\[(?:view|lines?|next) ", piece)]
    assert len(lines) > len(statements.__all__) // 2
    assert [line for line in lines if not _statement(line)] == []
    facts = {fact for line in lines if line.startswith("[view ") for fact in line[14:-1].split("; ")}
    assert [fact for fact in facts if not _is_fact(fact)] == []


def test_the_lines_for_what_is_set_aside_are_what_the_engine_writes() -> None:
    text = SET_ASIDE.read_text(encoding="utf-8")
    lines = [line for kind, _, body in _FENCE.findall(text) if kind == "statement" for line in body.splitlines()]
    assert lines
    for line in lines:
        assert statements.is_aside(line, line[11:17])
        assert statements.read_aside_path(line.rpartition(": ")[2].removesuffix("]"))


def test_every_form_is_shown() -> None:
    text = STATEMENTS.read_text(encoding="utf-8")
    for fact in (statements.NO_CODES, statements.PATTERNS, statements.REPEATS, statements.SHOWN_ABOVE):
        assert f"{fact}]\n" in text
    for begin in ("[view ", "[lines ", "[line above ", "[next "):
        assert f"\n{begin}" in text
    for part in (f" of {statements.THE_EDIT} above]", " as shown above]", ": hits grouped by file]", ": JSON, "):
        assert part in text


def test_the_examples_are_what_the_engine_writes() -> None:
    """From top to bottom they are one conversation: later ones refer to earlier ones."""
    found = [
        (kind, label, body.replace("\u241b", "\x1b").replace("\u240d", "\r").removesuffix("\n"))
        for kind, label, body in _FENCE.findall(STATEMENTS.read_text(encoding="utf-8"))
        if kind in _EXAMPLES
    ]
    shown = Shown()
    pairs = 0
    for at, (kind, label, sent) in enumerate(found):
        if kind == "edit":
            shown.add(edit_of(label), split_positions(sent, 1))
        if kind != "sent":
            continue
        arrives = at + 1 < len(found) and found[at + 1][0] == "arrived"
        source = Source(EXAMPLE_ID, label, is_error=label.startswith("pytest"))
        folded = fold(sent, source, shown)
        assert (folded.text if folded else None) == (found[at + 1][2] if arrives else None)
        back = unfold(folded.text if folded else sent, source, shown)
        is_terminal = "\x1b" in sent or "\r" in sent
        assert back.text == (as_shown(sent) if is_terminal else sent)
        back.show(shown)
        pairs += arrives
    assert pairs == sum(kind == "arrived" for kind, _, _ in found) > 0

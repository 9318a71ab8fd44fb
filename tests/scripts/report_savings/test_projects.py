from __future__ import annotations

import json
from pathlib import Path

import pytest

from report_savings.projects import projects_of
from tests.scripts.report_savings.ledgers import OTHER_SESSION, SESSION

THIRD = "33333333-3333-4333-8333-333333333333"


def transcript(folder: Path, session: str, *lines: object, parent: str = "-p") -> None:
    (folder / parent).mkdir(parents=True, exist_ok=True)
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    (folder / parent / f"{session}.jsonl").write_text(text)


def test_the_directory_that_a_session_began_in(tmp_path: Path) -> None:
    transcript(tmp_path, SESSION, {"type": "summary"}, "{broken", {"cwd": "/home/u/shop"}, {"cwd": "/elsewhere"})
    assert projects_of([SESSION, OTHER_SESSION], tmp_path) == {SESSION: "shop"}


def test_a_session_that_the_ledger_does_not_name_is_not_opened(tmp_path: Path) -> None:
    transcript(tmp_path, SESSION, {"cwd": "/home/u/shop"})
    (tmp_path / "-p" / f"{OTHER_SESSION}.jsonl").mkdir()
    assert projects_of([SESSION], tmp_path) == {SESSION: "shop"}
    assert projects_of([], tmp_path) == {}


def test_what_cannot_be_read_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "-p" / f"{SESSION}.jsonl").mkdir(parents=True)
    transcript(tmp_path, OTHER_SESSION, *[{"type": "x"}] * 60, {"cwd": "/too/late"})
    transcript(tmp_path, THIRD, "[1]", {"cwd": 7})
    assert projects_of([SESSION, OTHER_SESSION, THIRD], tmp_path) == {}
    assert projects_of([SESSION], tmp_path / "none") == {}


@pytest.mark.parametrize(
    ("directories", "names"),
    [
        (["/a/api", "/b/api", "/c/web"], ["a/api", "b/api", "web"]),
        (["/a/x/api", "/b/x/api"], ["a/x/api", "b/x/api"]),
        (["/api", "/b/api"], ["api", "b/api"]),
        (["/", "/b"], ["/", "b"]),
        ([r"C:\u\api", "/u/api"], [r"C:\u\api", "/u/api"]),
        (["/a", "/a"], ["a", "a"]),
    ],
)
def test_directories_of_one_name_are_told_apart(directories: list[str], names: list[str], tmp_path: Path) -> None:
    sessions = [SESSION, OTHER_SESSION, THIRD][: len(directories)]
    for session, directory in zip(sessions, directories, strict=True):
        transcript(tmp_path, session, {"cwd": directory})
    found = projects_of(sessions, tmp_path)
    assert [found[session] for session in sessions] == names

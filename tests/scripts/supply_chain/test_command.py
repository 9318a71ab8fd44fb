from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from supply_chain import command
from supply_chain.advisories import Audit
from supply_chain.bill import bill_of, faults_in
from supply_chain.command import DONE, FAILED, FOUND, GROUPS, PROJECT, main
from supply_chain.components import Component, installed


def bill(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> Any:
    assert main(arguments) == DONE
    return json.loads(capsys.readouterr().out)


def test_the_bill_names_all_that_the_project_runs_on(capsys: pytest.CaptureFixture[str]) -> None:
    document = bill([], capsys)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert document["metadata"]["component"]["name"] == "foundry-compress"
    parts = {part["name"]: part for part in document["components"]}
    components = installed(PROJECT, GROUPS)
    assert set(parts) == {one.name for one in components} | {"o200k_base"}
    assert parts["mitmproxy"]["purl"] == f"pkg:pypi/mitmproxy@{parts['mitmproxy']['version']}"
    assert parts["mitmproxy"]["licenses"] == [{"expression": "MIT"}]
    assert (parts["mitmproxy"]["scope"], parts["rich"]["scope"]) == ("required", "optional")
    assert not {"pytest", "hypothesis", "ruff", "pip-audit"} & set(parts), "what tests need is not what runs"


def test_the_bill_says_what_needs_what(capsys: pytest.CaptureFixture[str]) -> None:
    below = {one["ref"]: one.get("dependsOn", []) for one in bill([], capsys)["dependencies"]}
    refs = {one.name: f"{one.name}=={one.version}" for one in installed(PROJECT, GROUPS)}
    assert refs["markupsafe"] in below[refs["jinja2"]]
    reached, waiting = set(), ["foundry-compress"]
    while waiting:
        ref = waiting.pop()
        waiting += [one for one in below[ref] if one not in reached]
        reached.add(ref)
    assert reached == set(below), "everything is there because something needs it"


def test_a_file_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "bill.json")]) == DONE
    assert faults_in((tmp_path / "bill.json").read_text()) == ""
    assert main([str(tmp_path / "missing" / "bill.json")]) == FAILED
    assert "cannot be written" in capsys.readouterr().err


def test_a_bill_that_is_none_is_noticed() -> None:
    good = bill_of("1", installed(PROJECT)[:2])
    assert faults_in(good) == ""
    assert faults_in(good.replace('"required"', '"now and then"'))
    assert faults_in(good.replace('"components"', '"parts"'))


@pytest.mark.parametrize(
    ("made", "line", "code"),
    [
        (Audit(was_made=True), "advisories: none against 56 packages", DONE),
        (Audit(was_made=True, weaknesses=("x 1: CVE-1, mended in 2",)), "advisory: x 1: CVE-1, mended in 2", FOUND),
        (Audit(was_made=True, unknown=("x", "y")), "advisories: NOT CHECKED for x, y", DONE),
        (Audit(was_made=False, why_not="nobody answered"), "advisories: NOT CHECKED: nobody answered", DONE),
    ],
)
def test_what_is_said_of_advisories(
    made: Audit, line: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "audit", lambda _: made)
    assert main(["--check"]) == code
    licences, advisories = capsys.readouterr().out.splitlines()
    assert licences.startswith("licences: ")
    assert advisories.startswith(line.replace("56", licences.split()[1]))


def test_offline_nobody_is_asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(_: Sequence[Component]) -> Audit:
        pytest.fail("somebody was asked")

    monkeypatch.setattr(command, "audit", refuse)
    assert main(["--check", "--offline"]) == DONE
    assert "advisor" not in capsys.readouterr().out


def test_a_licence_that_is_not_on_the_list_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "licence_of", lambda one: "AGPL-3.0-only" if one.name == "mitmproxy" else "MIT")
    assert main(["--check", "--offline"]) == FOUND
    out = capsys.readouterr().out
    assert "licence: mitmproxy " in out
    assert "is under AGPL-3.0-only, which is not on the list" in out


@pytest.mark.slow
def test_as_it_is_started() -> None:
    argv = [sys.executable, "-IB", str(PROJECT / "scripts" / "supply_chain"), "--check", "--offline"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (DONE, "")
    assert done.stdout.startswith("licences: ")

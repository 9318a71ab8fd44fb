from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from billing.ledger import LEDGER_FILE
from billing.ledger_reader import LedgerReader
from billing.usage import Usage
from report_savings.command import main, moment
from tests.scripts.report_savings.ledgers import DAY, NOON, SESSION, conversation, request, write
from tests.scripts.report_savings.made_up import figures_of

PACKAGE = Path(__file__).resolve().parents[3] / "scripts" / "report_savings"

TWO_DAYS = [*conversation(3, at=NOON - DAY), *conversation(3, conversation="c2", at=NOON)]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    monkeypatch.setenv("FOUNDRY_COMPRESS_STATE_DIR", str(tmp_path))
    return tmp_path


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main(["--json", *arguments]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def requests(found: dict[str, object]) -> object:
    total = found["total"]
    assert isinstance(total, dict)
    return total["requests"]


def test_the_report(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(home, TWO_DAYS)
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("6 requests in 2 conversations, ")
    assert "of the input bill" in out
    assert err == ""


def test_what_cannot_be_read_is_left_out_and_counted(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(home, TWO_DAYS)
    with closing(sqlite3.connect(home / LEDGER_FILE, autocommit=True)) as connection:
        connection.execute("UPDATE requests SET changes = 'no JSON' WHERE id = 1")
        assert main([]) == 0
        assert "1 request in the ledger cannot be read: in none of the figures." in capsys.readouterr().out
        found = document(capsys)
        assert (requests(found), found["unreadable_requests"]) == (5, 1)
        connection.execute("UPDATE requests SET changes = 'no JSON'")
        assert main([]) == 1
        assert "and 6 that cannot: move it away" in capsys.readouterr().err


def test_the_folder_can_be_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "elsewhere").mkdir()
    write(home / "elsewhere", [request()])
    assert requests(document(capsys, "--state-dir", str(home / "elsewhere"))) == 1
    monkeypatch.setenv("FOUNDRY_COMPRESS_STATE_DIR", "~/elsewhere")
    assert requests(document(capsys)) == 1


def test_projects_come_from_the_clients_transcripts(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(home, TWO_DAYS)
    folder = home / ".claude" / "projects" / "-shop"
    folder.mkdir(parents=True)
    (folder / f"{SESSION}.jsonl").write_text('{"cwd": "/home/u/shop"}\n')
    assert main(["--csv", "--by", "project"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("shop,6,6,")


def test_from_and_to(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(home, TWO_DAYS)

    def at(seconds: float) -> str:
        return datetime.fromtimestamp(seconds).astimezone().isoformat()

    assert requests(document(capsys, "--since", at(NOON - 60))) == 3
    assert requests(document(capsys, "--until", at(NOON - 60))) == 3
    assert requests(document(capsys, "--since", at(NOON - DAY + 60), "--until", at(NOON + 60))) == 3


def test_what_went_before_counts_for_what_comes_later(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A request of the time asked for costs what it costs in the whole, though what it goes on from is not shown."""
    write(home, TWO_DAYS)
    last = document(capsys, "--since", datetime.fromtimestamp(NOON + 100).astimezone().isoformat())["total"]
    assert isinstance(last, dict)
    whole, before = figures_of(TWO_DAYS).total, figures_of(TWO_DAYS[:-1]).total
    assert last["saved_units"] == pytest.approx(whole.saved - before.saved)
    assert last["saved_units"] != pytest.approx(figures_of(TWO_DAYS[-1:]).total.saved)


def test_what_later_bills_teach_holds_for_the_first_request_too(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bills = [Usage(uncached=10_000 + turn * 1500) for turn in range(8)]
    write(
        home,
        [
            request(at=NOON + turn, follows="c1" if turn else "", counted=1000, usage=usage)
            for turn, usage in enumerate(bills)
        ],
    )
    until = datetime.fromtimestamp(NOON + 0.5).astimezone().isoformat()
    found = document(capsys, "--until", until)
    assert requests(found) == 1
    total = found["total"]
    assert isinstance(total, dict)
    assert total["removed_tokens"] == pytest.approx(1.5 * 3000)


def test_own_prices(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(home, [request()])
    prices = home / "mine.toml"
    prices.write_text("currency = 'EUR'\n[[price]]\nmatch = 'opus'\ninput = 4.0\ncache_read = 0.4\noutput = 20.0\n")
    total = document(capsys, "--prices", str(prices))["total"]
    assert isinstance(total, dict)
    assert list(total["money"]) == ["EUR"]
    prices.write_text("price = 1")
    assert main(["--prices", str(prices)]) == 2
    assert capsys.readouterr().err.startswith(f"report: {prices}: ")


def test_a_page(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(home, TWO_DAYS)
    file = home / "report.html"
    assert main(["--html", str(file)]) == 0
    assert file.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert capsys.readouterr().out.startswith(f"Written to {file}.")
    assert main(["--html", str(home / "none" / "report.html")]) == 1
    assert capsys.readouterr().err == f"report: {home}/none/report.html cannot be written (No such file or directory)\n"


def test_a_holdout_is_compared(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = conversation(2, conversation="c3", session="", holdout=True, outcome="holdout", changes=())
    write(home, [*TWO_DAYS, *held])
    evidence = document(capsys)["evidence"]
    assert isinstance(evidence, dict)
    assert evidence["holdout"] == {"sessions": 1, "turns": 2}
    assert document(capsys, "--until", datetime.fromtimestamp(NOON - 60).astimezone().isoformat())["evidence"] is None


def test_nothing_to_report(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"report: There is no ledger at {home}/ledger.sqlite3")
    assert err.count("\n") == 1
    write(home, [request()])
    assert main(["--since", "1h"]) == 1
    assert "in that time: start Claude Code with scripts/claude-foundry" in capsys.readouterr().err
    (home / "ledger.sqlite3").write_bytes(b"not a database at all, but long enough to be looked at" * 40)
    assert main(["--json"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--since", "yesterday"],
        ["--since", "7x"],
        ["--until", "9999999d0"],
        ["--since", "2026-11-02", "--until", "2026-11-01"],
        ["--json", "--csv"],
        ["--by", "tool"],
        ["--csv", "--by", "week"],
        ["--no-such-option"],
    ],
)
def test_wrong_usage(arguments: list[str], home: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert list(home.iterdir()) == []


def test_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOON)
    assert moment("30m") == NOON - 1800
    assert moment("24h") == NOON - DAY
    assert moment("7d") == NOON - 7 * DAY
    assert moment("2w") == NOON - 14 * DAY
    # Without a time zone it is that of this machine.
    assert moment("2026-11-01") == datetime(2026, 11, 1).astimezone().timestamp()
    assert moment("2026-11-01T09:30:00+00:00") == 1_793_525_400


def test_runs_as_a_directory_isolated_and_into_a_pipe_that_closes(home: Path) -> None:
    write(home, TWO_DAYS)
    argv = [sys.executable, "-IB", str(PACKAGE)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "input bill" in done.stdout
    piped = subprocess.run(
        ["sh", "-c", '"$@" | true', "sh", *argv], capture_output=True, text=True, timeout=60, check=False
    )
    assert piped.stderr == ""


def test_an_interrupt_is_no_traceback(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    write(home, [request()])
    monkeypatch.setattr(LedgerReader, "entries", interrupted)
    assert main([]) == 130

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from compression_engine import Setting
from estimate_savings.estimate import Estimate
from sweep_settings.command import main
from sweep_settings.table import table, terms_for
from tests.scripts.estimate_savings.invented import OLD, usage, with_a_pause

PACKAGE = Path(__file__).resolve().parents[3] / "scripts" / "sweep_settings"


def session(folder: Path) -> Path:
    """After the pause a line of the oldest result is edited."""
    invented = with_a_pause(6)
    edit = {"file_path": "/x", "old_string": OLD.split("\n")[200], "new_string": "x"}
    invented.answer("7", usage(read=21_100, write=100), invented.call("edit", "Edit", **edit))
    return invented.write(folder)


def rows(lines: list[str]) -> dict[tuple[str, str], list[str]]:
    """By the settings, as they stand in the table."""
    cells = [line.strip("| ").split(" | ") for line in lines]
    return {(first, second): rest for first, second, *rest in cells}


def test_each_pair_of_settings_is_a_row_and_the_default_stands_out(tmp_path: Path) -> None:
    settings = [Setting(), Setting(10_000_000), Setting(least=5_000)]
    estimate = Estimate(terms_for(settings))
    estimate.add_file(session(tmp_path))
    header, rule, lossless_row, *others = table(estimate, settings)
    found = rows([lossless_row, *others])

    assert rule.count("---:") == header.count("|") - 1 == 8
    lossless = found["lossless", ""]
    assert lossless[1:4] == ["1.000", "0.0%", "0 of 1 (0.0%)"]
    assert lossless[4:] == [lossless[0], "1.000"]
    chosen = found["**20,000**", "**60**"]
    assert all(cell.startswith("**") and cell.endswith("**") for cell in chosen)
    bill, against, aside, edits, with_calls, against_with_calls = (cell.strip("*") for cell in chosen)
    assert edits == "1 of 1 (100.0%)"
    assert float(aside.rstrip("%")) > 40
    assert float(bill) < float(lossless[0])
    assert float(against) == pytest.approx(float(bill) / float(lossless[0]), abs=0.002)
    assert float(with_calls) > float(bill)
    assert float(against_with_calls) > float(against)
    # Nothing is old enough, or nothing is large enough.
    assert found["10,000,000", "60"] == found["20,000", "5,000"] == lossless


def test_the_table_is_printed_for_the_product_of_the_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--recent", "20000,40000", "--least", "60,250", str(session(tmp_path))]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert list(rows(out.splitlines()))[2:] == [
        ("lossless", ""),
        ("**20,000**", "**60**"),
        ("20,000", "250"),
        ("40,000", "60"),
        ("40,000", "250"),
    ]


def test_the_life_of_the_cache_can_be_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--recent", "20000", "--least", "60", "--cache-ttl", "3600", str(session(tmp_path))]) == 0
    assert "| **0.0%** |" in capsys.readouterr().out


def test_the_defaults_are_among_the_values(tmp_path: Path) -> None:
    argv = [sys.executable, "-IB", str(PACKAGE), str(session(tmp_path))]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "| **20,000** | **60** |" in done.stdout


@pytest.mark.parametrize("arguments", [["--recent", "5k"], ["--least", "60,"], ["--no-such-option"]])
def test_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_nothing_to_replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err == f"sweep: there is no {tmp_path}/nowhere\n"

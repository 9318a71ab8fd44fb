from __future__ import annotations

from typing import Any

import pytest

from launcher.closing_line import closing_line


@pytest.mark.parametrize(
    ("stats", "line"),
    [
        (None, "the proxy did not say what was saved."),
        ({"requests": 0}, "no request to Foundry came through the proxy."),
        (
            {"mode": "lossless", "requests": 1, "rewritten": 0, "tokens_removed": 0, "bytes_removed": 0},
            "1 request to Foundry, 0 made smaller: 0 input tokens and 0 bytes saved.",
        ),
        (
            {"mode": "lossless", "requests": 1200, "rewritten": 1001, "tokens_removed": 1, "bytes_removed": 1500},
            "1,200 requests to Foundry, 1,001 made smaller: 1 input token and 1.5 kB saved.",
        ),
        (
            {
                "mode": "lossless",
                "requests": 2,
                "rewritten": 2,
                "tokens_removed": 2_000_000,
                "bytes_removed": 8_210_000,
            },
            "2 requests to Foundry, 2 made smaller: 2,000,000 input tokens and 8.2 MB saved.",
        ),
        (
            {"requests": 2, "rewritten": 2, "tokens_removed": 50, "units_paid": 80, "units_saved": 20},
            (
                "2 requests to Foundry, 2 made smaller: 50 input tokens and 0 bytes saved; the bill is about 20% lower "
                "for it."
            ),
        ),
        (
            {"requests": 2, "rewritten": 2, "units_paid": 80, "units_saved": 20, "money": {"USD": {"saved": 1.234}}},
            (
                "2 requests to Foundry, 2 made smaller: 0 input tokens and 0 bytes saved; the bill is about 20% lower "
                "for it, USD 1.23."
            ),
        ),
        (
            {"requests": 2, "rewritten": 2, "units_paid": 102, "units_saved": -2},
            (
                "2 requests to Foundry, 2 made smaller: 0 input tokens and 0 bytes saved; the bill is about 2% higher "
                "for it."
            ),
        ),
        ({"mode": "off", "requests": 0}, "nothing was looked at or changed (mode off)."),
        (
            {"mode": "observe", "requests": 2, "tokens_observed": 30},
            "2 requests to Foundry, none changed (mode observe); 30 input tokens would have been saved.",
        ),
    ],
)
def test_line(stats: dict[str, Any] | None, line: str) -> None:
    assert closing_line(stats) == line

"""A mitmproxy script that stands before the addon: its steady clock is as far ahead as the file $CLOCK_AHEAD says."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(_PROJECT / "addons"), str(_PROJECT)]

from conversations import steady_clock  # noqa: E402
from tests.e2e.ahead import ahead  # noqa: E402

_FILE = Path(os.environ["CLOCK_AHEAD"])
_gone_by = steady_clock._gone_by
steady_clock._gone_by = lambda: _gone_by() + ahead(_FILE)

"""Starts the command; run by scripts/bench."""

from __future__ import annotations

import sys
from pathlib import Path

_SCRIPTS = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_SCRIPTS), str(_SCRIPTS.parent / "addons")]

from benchmarks.latency.command import main  # noqa: E402 - found by the lines above

if __name__ == "__main__":
    main(sys.argv[1:])

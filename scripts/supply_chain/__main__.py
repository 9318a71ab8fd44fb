"""Run as a directory, isolated: `python -I scripts/supply_chain …`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0:1] = [str(Path(__file__).resolve().parents[1])]

from supply_chain.command import main  # noqa: E402 (the path comes first)

sys.exit(main(sys.argv[1:]))

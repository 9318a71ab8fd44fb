"""Run as a directory, isolated: `python -I scripts/service_units …`."""

from __future__ import annotations

import sys
from pathlib import Path

_SCRIPTS = Path(__file__).resolve().parents[1]
sys.path[0:1] = [str(_SCRIPTS), str(_SCRIPTS.parent / "addons")]

from service_units.command import main  # noqa: E402 (the path comes first)

sys.exit(main(sys.argv[1:]))

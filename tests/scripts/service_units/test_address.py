from __future__ import annotations

from pathlib import Path

import pytest

from service_units import address
from service_units.address import DEFAULT_PORT, Whereabouts, whereabouts
from service_units.description import Service
from service_units.systemd import Systemd


def test_as_the_unit_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = Systemd({"HOME": str(tmp_path)})
    monkeypatch.setattr(address, "of_this_machine", lambda: manager)
    assert whereabouts() == Whereabouts(DEFAULT_PORT, {})
    manager.write(Service(9000, {"A": "1"}))
    assert whereabouts() == Whereabouts(9000, {"A": "1"})

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scripts.launcher.certificates import pem


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """That of our authority."""
    file = tmp_path / "ours.pem"
    file.write_text(pem("ours"))
    return file

"""Takes the pictures of the status page in docs/images, with made-up figures.

`PYTHONPATH=addons:scripts python -m tests.e2e.status_page_pictures` in the project's folder, where Chromium is.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.e2e.chromium import NO_CHROMIUM, Chromium, find_chromium
from tests.e2e.mitmdump import Mitmdump

_IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
_SCRIPT = Path(__file__).with_name("harness") / "status_site.py"
_PICTURES = (
    ("status-page-light.png", 1100, False, 1150),
    ("status-page-dark.png", 1100, True, 1150),
    ("status-page-phone.png", 390, False, 1150),
)


def main() -> None:
    """Write the pictures."""
    if find_chromium() is None:
        sys.exit(NO_CHROMIUM)
    _IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        environment = {"SITE_TOKEN": "made-up", "TZ": "UTC"}
        with Mitmdump(home, _SCRIPT, environment=environment) as proxy, Chromium(home, proxy.url) as window:
            for name, width, dark, height in _PICTURES:
                window.look(width=width, dark=dark)
                window.goto("http://foundry.local/")
                (_IMAGES / name).write_bytes(window.picture(height))


if __name__ == "__main__":
    main()

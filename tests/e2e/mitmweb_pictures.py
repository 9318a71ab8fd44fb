"""Takes the picture of mitmweb in docs/images, of a scripted session of the real Claude Code.

`PYTHONPATH=addons:scripts python -m tests.e2e.mitmweb_pictures` in the project's folder, where Chromium and Claude Code
are. Only what tools answered in a made-up project is in the picture.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from demo.stand_in import StandIn
from tests.e2e.chromium import NO_CHROMIUM, Chromium, find_chromium
from tests.e2e.mitmdump import free_port, wait_for
from tests.e2e.mitmweb import web_options
from tests.e2e.route import proxied
from tests.e2e.scripted import make_project, session

_IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
_WIDTH, _HEIGHT = 1400, 900
_ROWS = "[...document.querySelectorAll('.flow-table tbody tr')]"
_LAST_REWRITTEN = f"{_ROWS}.filter(row => row.innerText.includes('messages?')).at(-1)"
_DIFFERENCE = "[...document.querySelectorAll('.flow-detail pre')].find(one => one.innerText.includes('══'))"


def main() -> None:
    """Write the picture."""
    if find_chromium() is None:
        sys.exit(NO_CHROMIUM)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        work = home / "work"
        make_project(work)
        port = free_port()
        options: dict[str, Any] = web_options(port)
        with StandIn(session(work)) as stand_in, proxied(stand_in, home / "way", program="mitmweb", **options) as way:
            way.client(work).run("Rename the twelfth item.")
            wait_for(lambda: way.proxy.local("/api/stats")["requests"] == len(stand_in.bills))
            with Chromium(home, way.proxy.url) as window:
                window.look(width=_WIDTH, dark=False)
                window.goto(f"http://127.0.0.1:{port}/?token={options['web_password']}#/flows?s=messages")
                window.comes_true(f"{_ROWS}.length > 5")
                window.evaluate(f"({_LAST_REWRITTEN}).click()")
                window.comes_true("document.body.innerText.includes('tool results went in fewer tokens')")
                window.evaluate(f"{_DIFFERENCE}?.scrollIntoView()")
                (_IMAGES / "mitmweb.png").write_bytes(window.picture(_HEIGHT))


if __name__ == "__main__":
    main()

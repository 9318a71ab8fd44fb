"""What the gateway adds inside mitmdump: options whose values are secrets, from files; a mitmproxy script."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mitmproxy import ctx

SECRETS = {"mode_token": "foundry_token", "upstream_auth": "upstream_auth"}
"""Names of files, and the options that their first lines are for."""


class SecretOptions:
    """Sets them; on a command line everybody on the machine could read them."""

    def load(self, _loader: Any) -> None:
        """At this point every option exists."""
        folder = Path(os.environ.get("FOUNDRY_GATEWAY_SECRETS") or "/run/secrets")
        for name, option in SECRETS.items():
            file = folder / name
            if file.exists():
                ctx.options.update(**{option: file.read_text(encoding="utf-8").split("\n", 1)[0].strip()})


addons = [SecretOptions()]

"""A mitmproxy script that sends every connection to 127.0.0.1:$FOUNDRY_STAND_IN_PORT, wherever it was to go."""

from __future__ import annotations

import os

from mitmproxy.proxy.server_hooks import ServerConnectionHookData

_PORT = int(os.environ["FOUNDRY_STAND_IN_PORT"])


def server_connect(data: ServerConnectionHookData) -> None:
    data.server.address = ("127.0.0.1", _PORT)

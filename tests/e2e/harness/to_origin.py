"""A mitmproxy script that sends every connection to 127.0.0.1:$ORIGIN_PORT, whatever host it is for."""

import os

from mitmproxy.proxy.server_hooks import ServerConnectionHookData


def server_connect(data: ServerConnectionHookData) -> None:
    data.server.address = ("127.0.0.1", int(os.environ["ORIGIN_PORT"]))

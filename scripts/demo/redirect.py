"""A mitmproxy script that sends Foundry's hosts, and only them, to 127.0.0.1:$FOUNDRY_STAND_IN_PORT.

Use: `FOUNDRY_STAND_IN_PORT=… mitmdump -s addons/foundry_compress.py -s scripts/demo/redirect.py
--set ssl_verify_upstream_trusted_ca=…`, with `StandIn.ca_path` for the last.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mitmproxy.proxy.server_hooks import ServerConnectionHookData

sys.path.append(str(Path(__file__).resolve().parents[2] / "addons"))

import host_rules

# Read at load: a missing variable ends mitmdump at start instead of letting a demo call the real service.
_PORT = int(os.environ["FOUNDRY_STAND_IN_PORT"])


def server_connect(data: ServerConnectionHookData) -> None:
    """Change where the connection goes; the name that TLS asks for and verifies stays the client's."""
    address = data.server.address
    if address and host_rules.is_foundry_host(address[0]):
        data.server.address = ("127.0.0.1", _PORT)

"""What the service adds inside its mitmdump; a mitmproxy script."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from mitmproxy import connection, ctx, http

from connecting.certificate_authority import CERTIFICATE_FILE
from launcher import durable_trust, no_proxy, places
from service_units import next_hop

logger = logging.getLogger("foundry_compress")


class NextHop:
    """Gives the company's proxy what it wants to hear, and goes past it where the user's NO_PROXY says so."""

    def load(self, _loader: Any) -> None:
        """Read what was kept; at this point every option of mitmproxy itself exists."""
        found = next_hop.find(os.environ, int(os.environ["FOUNDRY_SERVICE_PORT"]))
        if found and found.credentials:
            ctx.options.update(upstream_auth=found.credentials)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Only what is decrypted comes here; a client does not send the rest to us where its own NO_PROXY says so."""
        entries = no_proxy.repair(os.environ, "").value.split(",")
        if flow.server_conn.via and any(no_proxy.matches(entry, flow.request.pretty_host) for entry in entries):
            flow.server_conn = connection.Server(address=flow.server_conn.address)


class Bundles:
    """Keeps the clients' bundles up with the authority, which the addon has made or renewed by now."""

    def running(self) -> None:
        """Whatever is wrong with them, the proxy works."""
        try:
            certificate = Path(ctx.options.confdir).expanduser() / CERTIFICATE_FILE
            durable_trust.refresh(certificate, durable_trust.folder(places.state_dir(os.environ)))
        except OSError as error:
            logger.warning("The bundles of certificates for clients could not be written anew: %s", error)


class FewerLines:
    """Nobody wants to read of each connection that was opened and closed; requests to Foundry have a line each."""

    def load(self, _loader: Any) -> None:
        """Leave warnings and errors."""
        logging.getLogger("mitmproxy.proxy.server").setLevel(logging.WARNING)


addons = [NextHop(), Bundles(), FewerLines()]

"""What the launcher adds inside the mitmdump that it starts; a mitmproxy script.

The launcher's orders arrive as one line of JSON on standard input, so that a password shows neither on a command line
nor in a file. The pipe then stays open: its end is how this process learns that the launcher is gone, whatever ended
it. A file in the session's directory tells the launcher the port.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from mitmproxy import connection, ctx, http

from launcher.proxy_users import proxy_users

SESSION = Path(os.environ["CLAUDE_FOUNDRY_SESSION"])
LOOK_EVERY = 0.3  # seconds; with connections open, somebody is there:
LOOK_SELDOM = 2.0
LOOK_AGAIN = 0.1  # once nobody was found; whoever started the launcher waits for this
IDLE_LIMIT = 24 * 3600.0  # seconds without a connection after which a forgotten background process counts for nothing


class Orders:
    """Sets what the launcher does not want to be seen on the command line, and tells it the port."""

    direct_host: str | None = None

    def load(self, _loader: Any) -> None:
        """Read the orders; at this point every option of mitmproxy itself exists."""
        line = sys.stdin.readline()
        if not line:  # the launcher is gone already
            shutil.rmtree(SESSION, ignore_errors=True)
            sys.exit(1)
        orders = json.loads(line)
        self.direct_host = orders["direct_host"]
        if orders["upstream_auth"] is not None:
            ctx.options.update(upstream_auth=orders["upstream_auth"])
        ctx.options.update(foundry_token=orders["token"])

    def running(self) -> None:
        """The port is open."""
        proxyserver: Any = ctx.master.addons.get("proxyserver")
        part = SESSION / "port.part"
        part.write_text(str(proxyserver.listen_addrs()[0][1]))
        part.rename(SESSION / "port")

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """The user's NO_PROXY says that Foundry is not reached through the corporate proxy: then neither by us."""
        if flow.request.pretty_host == self.direct_host and flow.server_conn.via:
            flow.server_conn = connection.Server(address=flow.server_conn.address)


class Lifeline:
    """Ends mitmdump when nobody is left who was told its address.

    That is the launcher first of all, but also every process that Claude Code left running: a development server in
    the background goes on as it would without us, and so does a client whose launcher was killed.
    """

    def __init__(self) -> None:
        self._launcher_gone = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    def running(self) -> None:
        """Start to watch."""
        self._watch = asyncio.create_task(self._end_when_alone())

    def done(self) -> None:
        """Leave nothing behind."""
        if self._launcher_gone.is_set():
            shutil.rmtree(SESSION, ignore_errors=True)

    async def _end_when_alone(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(sys.stdin.fileno(), self._at_end_of_input)
        await self._launcher_gone.wait()
        loop.remove_reader(sys.stdin.fileno())
        proxyserver: Any = ctx.master.addons.get("proxyserver")
        address = f"http://127.0.0.1:{proxyserver.listen_addrs()[0][1]}"
        last_used = time.monotonic()
        was_alone = False
        while True:
            if proxyserver.connections:
                last_used = time.monotonic()
            users = await asyncio.to_thread(proxy_users, address)
            alone = not users or time.monotonic() - last_used >= IDLE_LIMIT
            # Twice in a row, because a process that is just being replaced by another shows no environment.
            if alone and was_alone:
                break
            was_alone = alone
            await asyncio.sleep(LOOK_AGAIN if alone else LOOK_SELDOM if proxyserver.connections else LOOK_EVERY)
        ctx.master.shutdown()

    def _at_end_of_input(self) -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            self._launcher_gone.set()


class NoticesForTheEnd(logging.Handler):
    """Keeps what the addon says is not working, for the launcher to show when the client has left the terminal."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def running(self) -> None:
        """Listen from here on: what ends mitmdump at its start is reported at once."""
        logging.getLogger("foundry_compress").addHandler(self)

    def done(self) -> None:
        """Stop listening."""
        logging.getLogger("foundry_compress").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Append one line."""
        with (SESSION / "notices").open("a", encoding="utf-8") as file:
            file.write(" ".join(record.getMessage().split()) + "\n")


addons = [Orders(), Lifeline(), NoticesForTheEnd()]

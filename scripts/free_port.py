"""A port for a server that has to be told one."""

from __future__ import annotations

import socket

__all__ = ["free_port"]


def free_port() -> int:
    """A port on loopback on which nobody listens, and which nobody is given who asks the system for any.

    That holds for a minute, in which a server can take it: a connection to the port just ended, and only who names the
    port and sets SO_REUSEADDR, as servers do, may have it meanwhile.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
        with socket.create_connection(address):
            served, _ = listening.accept()
            served.close()  # first, so that this end is the one that waits (TIME_WAIT)
            return int(address[1])

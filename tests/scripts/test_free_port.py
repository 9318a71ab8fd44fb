from __future__ import annotations

import socket
import sys

import pytest

from free_port import free_port


def test_a_server_can_take_it() -> None:
    with socket.create_server(("127.0.0.1", free_port())):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="systems differ in what they let others have")
def test_it_is_kept_for_whoever_names_it() -> None:
    """Or one of the many sockets that tests open meanwhile would be given it now and then."""
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", free_port()))


def test_nobody_answers_there() -> None:
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", free_port())):
        pass

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor_checks import wire
from doctor_checks.wire import MOST_BYTES, Deadline, NoHttpError, Reply, connect, exchange, within
from tests.scripts.doctor_checks.machine import saying, speaking

HEAD = ["GET / HTTP/1.1", "Host: x"]


SECONDS = 60.0


def ask(says: bytes, head: Sequence[str] = HEAD) -> Reply:
    """The answer of a server that says so and hangs up, of whose body no part is given up for want of time."""
    deadline = Deadline(SECONDS)
    with (
        pytest.MonkeyPatch.context() as patch,
        speaking(saying(says)) as port,
        connect("127.0.0.1", port, deadline) as connection,
    ):
        patch.setattr(wire, "BODY_SECONDS", SECONDS)
        return exchange(connection, head, deadline)


def test_an_answer_with_its_length() -> None:
    reply = ask(b"HTTP/1.1 401 No\r\nContent-Length: 2\r\nServer: Made Up\r\n\r\nhe who comes next")
    assert reply == Reply(401, {"content-length": "2", "server": "Made Up"}, b"he")


def test_an_answer_that_ends_with_the_connection() -> None:
    assert ask(b"HTTP/1.0 200 OK\r\n\r\nall of it").body == b"all of it"


def test_interim_answers_are_left_out() -> None:
    reply = ask(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 None\r\n\r\n")
    assert (reply.status, reply.body) == (204, b"")


def test_a_body_that_never_ends_is_cut() -> None:
    says = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"x" * (MOST_BYTES + 5000)
    assert len(ask(says).body) == MOST_BYTES


def test_what_comes_through_an_open_tunnel_is_no_body() -> None:
    head = ["CONNECT x:443 HTTP/1.1"]
    assert ask(b"HTTP/1.1 200 OK\r\n\r\nwhat comes", head=head) == Reply(200)
    assert ask(b"HTTP/1.1 502 No\r\n\r\nwhy not", head=head) == Reply(502, body=b"why not")


@given(st.binary(max_size=60))
def test_what_is_no_http_raises_one_of_two(says: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(says)
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises((NoHttpError, OSError)):
            exchange(ours, HEAD, Deadline(SECONDS))


def test_a_head_that_never_ends_is_no_http() -> None:
    with pytest.raises(NoHttpError):
        ask(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * MOST_BYTES)


def test_silence_ends_with_the_deadline() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(TimeoutError):
        exchange(ours, HEAD, Deadline(0.1))


def test_a_deadline_that_has_passed() -> None:
    with pytest.raises(TimeoutError):
        Deadline(-1).left()


def test_within_hands_on_what_comes_of_it() -> None:
    assert within(SECONDS, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(SECONDS, lambda: 1 // 0)


def test_within_does_not_wait_for_what_has_no_limit() -> None:
    ended = threading.Event()
    with pytest.raises(TimeoutError):
        within(0.05, ended.wait)
    ended.set()

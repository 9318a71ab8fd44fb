from __future__ import annotations

import json

import pytest
from mitmproxy import http
from mitmproxy.test import tflow, tutils

from local_status import forbid_connect, is_local_host, respond

DOCUMENTS = {"/ready": lambda: {"addon": "x"}}


def _ask(path: bytes = b"/ready", method: bytes = b"GET", peer: str = "127.0.0.1") -> http.Response:
    flow = tflow.tflow(req=tutils.treq(host="foundry.local", path=path, method=method))
    flow.client_conn.peername = (peer, 50_000)
    respond(flow, DOCUMENTS)
    assert flow.response is not None
    return flow.response


@pytest.mark.parametrize(
    ("host", "is_local"),
    [("foundry.local", True), ("Foundry.Local.", True), ("x.foundry.local", False), ("foundry.local.example", False)],
)
def test_the_host(host: str, is_local: bool) -> None:
    assert is_local_host(host) is is_local


@pytest.mark.parametrize("path", [b"/ready", b"/ready?x=1"])
def test_a_document(path: bytes) -> None:
    response = _ask(path)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert json.loads(response.content or b"") == {"addon": "x"}


def test_errors_are_answered_too() -> None:
    assert _ask(b"/").status_code == 404
    assert _ask(b"/ready/").status_code == 404
    assert _ask(method=b"POST").status_code == 405


@pytest.mark.parametrize(
    ("peer", "status"),
    [("127.0.0.1", 200), ("::1", 200), ("::ffff:127.0.0.1", 200), ("192.0.2.1", 403), ("::2", 403), ("", 403)],
)
def test_only_programs_on_the_same_machine_are_told(peer: str, status: int) -> None:
    assert _ask(peer=peer).status_code == status


def test_tunnels_are_refused() -> None:
    flow = tflow.tflow()
    forbid_connect(flow)
    assert flow.response is not None
    assert flow.response.status_code == 404

from __future__ import annotations

import pytest
from mitmproxy.test import tflow

from local_site import forbid_connect, is_local_host
from local_site.access import Guard, Refusal, check
from tests.local_site.accounts import TOKEN, flow_for


@pytest.mark.parametrize(
    ("host", "is_local"),
    [("foundry.local", True), ("Foundry.Local.", True), ("x.foundry.local", False), ("foundry.local.example", False)],
)
def test_the_host(host: str, is_local: bool) -> None:
    assert is_local_host(host) is is_local


def test_tunnels_are_refused() -> None:
    flow = tflow.tflow()
    forbid_connect(flow)
    assert flow.response is not None
    assert flow.response.status_code == 404


@pytest.mark.parametrize(
    ("peer", "here"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.2", ""),
        ("::1", "::1"),
        ("::ffff:127.0.0.1", "::"),
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_programs_on_the_same_machine_are_answered(peer: str, here: str) -> None:
    check(flow_for(peer=peer, here=here))


@pytest.mark.parametrize(
    ("peer", "here"),
    [("192.0.2.1", "192.0.2.2"), ("192.0.2.1", "127.0.0.1"), ("::2", ""), ("", ""), ("", "127.0.0.1"), ("x", "x")],
)
def test_others_are_not(peer: str, here: str) -> None:
    with pytest.raises(Refusal, match="own machine only") as refused:
        check(flow_for(peer=peer, here=here))
    assert refused.value.status == 403


def test_a_connection_without_an_address_is_not_answered() -> None:
    flow = flow_for()
    flow.client_conn.peername = None  # type: ignore[assignment]  # mitmproxy has it so for some clients
    flow.client_conn.sockname = None  # type: ignore[assignment]  # mitmproxy has it so for some clients
    with pytest.raises(Refusal):
        check(flow)


@pytest.mark.parametrize("host", ["foundry.local", "foundry.local:80", "FOUNDRY.LOCAL.", None])
def test_the_host_header_names_the_site(host: str | None) -> None:
    check(flow_for(host=host))


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:8080", "foundry.local.evil.example", ""])
def test_a_name_that_was_made_to_lead_here_is_refused(host: str) -> None:
    with pytest.raises(Refusal, match="Host"):
        check(flow_for(host=host))


@pytest.mark.parametrize("origin", ["http://foundry.local", "http://foundry.local:80"])
def test_the_own_page_may_ask(origin: str) -> None:
    check(flow_for(Origin=origin))


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://evil.example", "null", "", "https://foundry.local", "http://[", "http://"],
)
def test_pages_of_other_sites_may_not(origin: str) -> None:
    with pytest.raises(Refusal, match="its own"):
        check(flow_for(Origin=origin))


class _Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def _bears(guard: Guard, authorization: str | None) -> int:
    """The status of the refusal; 200 if there is none."""
    headers = {} if authorization is None else {"Authorization": authorization}
    try:
        guard.check(flow_for(**headers).request)  # type: ignore[arg-type]
    except Refusal as refusal:
        return refusal.status
    return 200


@pytest.mark.parametrize("authorization", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"Bearer  {TOKEN} "])
def test_the_right_token(authorization: str) -> None:
    assert _bears(Guard(TOKEN), authorization) == 200


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        TOKEN,
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer \udcff",
    ],
)
def test_a_wrong_token(authorization: str | None) -> None:
    assert _bears(Guard(TOKEN), authorization) == 403


@pytest.mark.parametrize("authorization", ["Bearer ", "Bearer x", "Bearer"])
def test_without_a_token_nobody_has_the_right_one(authorization: str) -> None:
    assert _bears(Guard(""), authorization) == 403


def test_after_twenty_wrong_tokens_none_is_looked_at_for_a_minute() -> None:
    clock = _Clock()
    guard = Guard(TOKEN, clock)
    assert [_bears(guard, "Bearer wrong") for _ in range(19)] == [403] * 19
    assert _bears(guard, f"Bearer {TOKEN}") == 200
    assert _bears(guard, "Bearer wrong") == 403
    assert _bears(guard, f"Bearer {TOKEN}") == 429
    clock.now += 59.9
    assert _bears(guard, f"Bearer {TOKEN}") == 429
    clock.now += 0.2
    assert _bears(guard, f"Bearer {TOKEN}") == 200


def test_whoever_has_no_token_does_not_count_as_guessing() -> None:
    guard = Guard(TOKEN)
    assert {_bears(guard, None) for _ in range(50)} == {403}
    assert _bears(guard, f"Bearer {TOKEN}") == 200

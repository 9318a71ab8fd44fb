from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from connecting import certificate_authority
from demo.stand_in import StandIn
from doctor_checks import request
from doctor_checks.finding import Finding, Verdict
from doctor_checks.proxy import NamedProxy
from doctor_checks.request import BODY, Attempt, Step, Target, attempt, trusting
from doctor_checks.wire import Reply
from free_port import free_port
from launcher import trust
from tests.e2e.connect_proxy import ConnectProxy
from tests.scripts.doctor_checks.machine import HOST, saying, speaking

TARGET = Target(HOST)
CERTIFICATE = Path("certs/mitmproxy-ca-cert.pem")


def named(port: int, *, has_credentials: bool = False) -> NamedProxy:
    return NamedProxy("http", "127.0.0.1", port, "HTTPS_PROXY in the environment", has_credentials)


def judged(
    tried: Attempt, target: Target = TARGET, *, by_addon: bool = False, has_credentials: bool = False
) -> Finding:
    proxy = named(1, has_credentials=has_credentials)
    return request.judge(tried, target, proxy, by_addon=by_addon, certificate=CERTIFICATE)


@pytest.fixture
def refusing() -> Iterator[StandIn]:
    """It answers a request that is empty with 400; the real service would see first that the key is missing."""
    with StandIn(hosts=(HOST, "localhost")) as stand_in:
        yield stand_in


def context(stand_in: StandIn) -> ssl.SSLContext:
    return trusting([trust.read(stand_in.ca_path)])


def test_foundry_s_refusal_of_a_request_without_a_key_proves_the_way(refusing: StandIn) -> None:
    with ConnectProxy(refusing.port) as proxy:
        tried = attempt(TARGET, named(proxy.port), context(refusing))
    assert tried.step is Step.ANSWERED
    assert judged(tried).verdict is Verdict.OK
    (arrived,) = refusing.requests
    assert (arrived.method, arrived.path, arrived.body) == ("POST", "/anthropic/v1/messages", BODY)
    names = {name.lower() for name, _ in arrived.headers}
    assert names == {"host", "content-type", "content-length", "connection", "user-agent"}


def test_without_a_proxy(refusing: StandIn) -> None:
    target = Target("localhost", refusing.port, "/anthropic/v1/messages")
    tried = attempt(target, None, context(refusing))
    assert tried.reply
    assert tried.reply.status == 400
    found = request.judge(tried, target, None, by_addon=False, certificate=CERTIFICATE)
    assert found.verdict is Verdict.OK
    assert found.detail.startswith("localhost answered 400 without a proxy")


def test_a_certificate_by_somebody_else_is_told_by_its_signer(refusing: StandIn, tmp_path: Path) -> None:
    ours = certificate_authority.ensure(tmp_path).certificate_path
    with ConnectProxy(refusing.port) as proxy:
        tried = attempt(TARGET, named(proxy.port), trusting([ours.read_bytes()]))
    assert tried.step is Step.NO_TRUST
    assert tried.issuer == "stand-in on loopback, not a real service"
    assert refusing.requests == []
    found = judged(tried, by_addon=True)
    assert found.verdict is Verdict.FAILED
    assert tried.issuer in found.detail
    assert "ignore_hosts" in found.remedy
    assert "NODE_EXTRA_CA_CERTS" in judged(tried).remedy
    gateway = Target("gateway.example.com", is_gateway=True)
    assert "foundry_extra_hosts=gateway.example.com" in judged(tried, gateway, by_addon=True).remedy


def test_a_certificate_by_another_authority_of_ours() -> None:
    tried = Attempt(Step.NO_TRUST, said="unable", issuer="Foundry Compress on this machine 0a1b2c3d")
    found = judged(tried, by_addon=True)
    assert found.verdict is Verdict.FAILED
    assert "--confdir" in found.remedy


def test_a_proxy_that_wants_a_password(refusing: StandIn) -> None:
    with ConnectProxy(refusing.port, "somebody:hunter2") as proxy:
        tried = attempt(TARGET, named(proxy.port), context(refusing))
    assert tried.step is Step.NO_TUNNEL
    assert refusing.requests == []
    assert "user and password" in judged(tried).remedy
    assert judged(tried).verdict is Verdict.FAILED
    assert judged(tried, has_credentials=True).verdict is Verdict.WARNING


@pytest.mark.parametrize(
    ("says", "remedy"),
    [
        (b"HTTP/1.1 502 Bad Gateway\r\nServer: mitmproxy\r\n\r\n", "resource's name"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", f"let {HOST} through"),
    ],
)
def test_a_tunnel_that_is_refused(says: bytes, remedy: str) -> None:
    with speaking(saying(says)) as port:
        tried = attempt(TARGET, named(port), trusting([]))
    found = judged(tried)
    assert (tried.step, found.verdict) == (Step.NO_TUNNEL, Verdict.FAILED)
    assert remedy in found.remedy


def test_what_the_addon_s_proxy_says_of_the_way_behind_it() -> None:
    page = b"<html><style>p {}</style><p>Certificate verify failed: self-signed</p></html>"
    tried = Attempt(Step.ANSWERED, Reply(502, {"server": "mitmproxy 12.2.3"}, page))
    found = judged(tried, by_addon=True)
    assert found.verdict is Verdict.FAILED
    assert "(Certificate verify failed: self-signed)" in found.detail
    assert "ssl_verify_upstream_trusted_ca" in found.remedy


@pytest.mark.parametrize("says", [b"no TLS at all", b""])
def test_what_is_behind_the_tunnel_is_not_tls(says: bytes) -> None:
    def serve(connection: socket.socket) -> None:
        saying(b"HTTP/1.1 200 OK\r\n\r\n")(connection)
        connection.recv(65536)
        connection.sendall(says)

    with speaking(serve) as port:
        tried = attempt(TARGET, named(port), trusting([]))
    found = judged(tried)
    assert (tried.step, found.verdict) == (Step.NO_TLS, Verdict.FAILED)
    assert found.remedy


def test_nothing_listens() -> None:
    tried = attempt(Target("localhost", free_port()), None, trusting([]))
    found = request.judge(tried, TARGET, None, by_addon=False, certificate=CERTIFICATE)
    assert (tried.step, found.verdict) == (Step.NO_CONNECTION, Verdict.FAILED)
    assert "HTTPS_PROXY" in found.remedy


def test_silence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        tried = attempt(TARGET, named(silent.getsockname()[1]), trusting([]), seconds=0.1)
    found = judged(tried)
    assert (tried.step, found.verdict) == (Step.TOO_SLOW, Verdict.FAILED)
    assert "0.1 s" in found.detail


def test_a_name_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", unknown)
    tried = attempt(TARGET, None, trusting([]))
    found = request.judge(tried, TARGET, None, by_addon=False, certificate=CERTIFICATE)
    assert (tried.step, found.verdict) == (Step.NO_NAME, Verdict.FAILED)
    assert HOST in found.remedy


def test_an_answer_that_breaks_off() -> None:
    found = judged(Attempt(Step.NO_ANSWER, said="hung up without an answer"))
    assert found.verdict is Verdict.FAILED
    assert "hung up" in found.detail


@pytest.mark.parametrize("status", [200, 400, 401, 405, 422, 429])
def test_any_ordinary_answer_will_do(status: int) -> None:
    found = judged(Attempt(Step.ANSWERED, Reply(status)), by_addon=True)
    assert found.verdict is Verdict.OK
    assert f"answered {status}" in found.detail
    assert "by the authority" in found.detail


@pytest.mark.parametrize(("status", "remedy"), [(403, "firewall"), (404, "RESOURCE"), (500, "later"), (503, "later")])
def test_an_answer_that_a_key_would_not_change(status: int, remedy: str) -> None:
    found = judged(Attempt(Step.ANSWERED, Reply(status)))
    assert found.verdict is Verdict.WARNING
    assert remedy in found.remedy


def test_a_company_s_proxy_behind_ours_wants_a_password() -> None:
    found = judged(Attempt(Step.ANSWERED, Reply(407)), by_addon=True)
    assert found.verdict is Verdict.FAILED
    assert "upstream_auth" in found.remedy


def test_what_others_say_is_one_short_line() -> None:
    page = b"<p>\x1b[31mred\r\n" + b"x" * 5000
    found = judged(Attempt(Step.NO_TUNNEL, Reply(500, body=page)))
    assert found.detail.isprintable()
    assert len(found.detail) < 400


def test_a_bundle_with_a_damaged_certificate_serves_with_the_others(refusing: StandIn) -> None:
    damaged = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    assert len(trusting([damaged, None, refusing.ca_path.read_bytes()]).get_ca_certs()) == 1

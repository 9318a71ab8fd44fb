"""Only Foundry's connections are looked into; everything else passes through the proxy as if it were not there."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from tests.e2e.client import Tunnel, plain, request
from tests.e2e.conftest import FOUNDRY_HOST, HARNESS, OTHER_HOSTS
from tests.e2e.mitmdump import ADDON, Mitmdump, wait_for
from tests.e2e.recording_origin import RecordingOrigin

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module", params=["straight", "through a corporate proxy"])
def proxy(
    request: pytest.FixtureRequest, origin: RecordingOrigin, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mitmdump]:
    """The addon before the origin, or before a second proxy that stands before the origin and looks into nothing."""
    if request.param == "straight":
        with Mitmdump(
            tmp_path_factory.mktemp("home"),
            *(ADDON, HARNESS / "to_origin.py"),
            options=origin.options,
            environment=origin.environment,
        ) as straight:
            yield straight
        return
    with (
        Mitmdump(
            tmp_path_factory.mktemp("corporate"),
            HARNESS / "to_origin.py",
            options={"ignore_hosts": ".*"},
            environment=origin.environment,
        ) as corporate,
        Mitmdump(
            tmp_path_factory.mktemp("home"), options=origin.options, arguments=["--mode", f"upstream:{corporate.url}"]
        ) as chained,
    ):
        yield chained


def _certificate(path: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(path.read_text())


@pytest.mark.parametrize("host", OTHER_HOSTS)
def test_other_hosts_and_look_alikes_show_their_own_certificate(
    host: str, proxy: Mitmdump, origin: RecordingOrigin
) -> None:
    origin.forget()
    raw = request(host, b'{"messages":[]}', "X-Api-Key: made-up")
    with Tunnel(proxy.port, host) as tunnel:
        assert tunnel.start_tls(host, origin.certificate) == _certificate(origin.certificate)
        assert tunnel.exchange(raw).status == 200
    (received,) = origin.received
    assert received.head + b"\r\n\r\n" + received.body == raw


def test_a_foundry_host_shows_a_certificate_of_ours_for_that_name_alone(proxy: Mitmdump) -> None:
    """Without leaf_certificate.prepare the address that the script redirects to stood in it, and clients refused it."""
    with Tunnel(proxy.port, FOUNDRY_HOST) as tunnel:
        leaf = x509.load_der_x509_certificate(tunnel.start_tls(FOUNDRY_HOST, proxy.certificate))
        assert tunnel.exchange(request(FOUNDRY_HOST, b"{}")).status == 200
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(proxy.certificate.read_bytes()))
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.DNSName(FOUNDRY_HOST)]


def test_the_name_that_tls_asks_for_decides(proxy: Mitmdump, origin: RecordingOrigin) -> None:
    """A client that connects to an address still names the host; one that names another host does not mean Foundry."""
    with Tunnel(proxy.port, "192.0.2.1") as by_address:
        assert by_address.start_tls(FOUNDRY_HOST, proxy.certificate)
    with Tunnel(proxy.port, FOUNDRY_HOST) as fronted:
        assert fronted.start_tls(OTHER_HOSTS[0], origin.certificate) == _certificate(origin.certificate)


@pytest.mark.parametrize("proxy", ["through a corporate proxy"], indirect=True)  # the other way changes the address
def test_a_client_that_names_no_host_is_judged_by_where_it_connects(proxy: Mitmdump, origin: RecordingOrigin) -> None:
    with Tunnel(proxy.port, FOUNDRY_HOST) as foundry:
        assert foundry.start_tls(None, proxy.certificate)
    with Tunnel(proxy.port, OTHER_HOSTS[0]) as other:
        assert other.start_tls(None, origin.certificate) == _certificate(origin.certificate)


def test_what_is_not_tls_passes_untouched(proxy: Mitmdump) -> None:
    """Without next_layer mitmproxy took it for HTTP and answered itself that it is none."""
    with Tunnel(proxy.port, OTHER_HOSTS[0], 22) as tunnel:
        tunnel.socket.sendall(b"ECHO as it is\r\n\r\n")
        assert tunnel.socket.recv(100) == b"\n\r\n\rsi ti sa OHCE"


def test_plain_http_to_other_hosts_keeps_headers_and_body(proxy: Mitmdump, origin: RecordingOrigin) -> None:
    origin.forget()
    url = f"http://{OTHER_HOSTS[0]}/v1/messages?a=b"
    assert plain(proxy.port, request(OTHER_HOSTS[0], b'{"messages":[]}' * 100, "X-MiXed: 1", path=url)).status == 200
    (received,) = origin.received
    assert received.headers == [
        ("Host", OTHER_HOSTS[0]),
        ("Content-Type", "application/json"),
        ("X-MiXed", "1"),
        ("Content-Length", "1500"),
    ]
    assert received.body == b'{"messages":[]}' * 100


def test_foundry_local_is_answered_here_and_never_asked_for_elsewhere(proxy: Mitmdump, origin: RecordingOrigin) -> None:
    origin.forget()
    assert proxy.local("/ready").keys() == {"addon", "version", "mode", "pid", "extra_hosts", "providers"}
    unknown = b"GET http://foundry.local/secrets HTTP/1.1\r\nHost: foundry.local\r\n\r\n"
    assert plain(proxy.port, unknown).status == 404
    assert plain(proxy.port, request("foundry.local", b"{}", path="http://foundry.local/ready")).status == 405
    with Tunnel(proxy.port, "foundry.local") as tunnel:
        assert tunnel.status == 404
    assert origin.received == []


def test_a_client_that_does_not_trust_us_is_told_which_variable_to_set(
    proxy: Mitmdump, origin: RecordingOrigin
) -> None:
    for _ in range(2):
        with Tunnel(proxy.port, FOUNDRY_HOST) as tunnel, pytest.raises(ssl.SSLCertVerificationError):
            tunnel.start_tls(FOUNDRY_HOST, origin.certificate)
    line = f"A client refused this proxy's certificate for {FOUNDRY_HOST}: start it with NODE_EXTRA_CA_CERTS"
    assert proxy.logged(line)
    # mitmproxy tells of each of them just before the addon hears of it, and all before it answers the next.
    told = f"Client TLS handshake failed. The client does not trust the proxy's certificate for {FOUNDRY_HOST}"
    assert wait_for(lambda: proxy.log().count(told) == 2), proxy.log()
    proxy.local("/ready")
    assert f"set to {proxy.certificate}" in proxy.log()
    assert proxy.log().count("refused this proxy's certificate") == 1


def test_mode_off_tunnels_foundry_too(origin: RecordingOrigin, tmp_path: Path) -> None:
    scripts = (ADDON, HARNESS / "to_origin.py")
    with (
        Mitmdump(tmp_path, *scripts, options={"foundry_mode": "off"}, environment=origin.environment) as off,
        Tunnel(off.port, FOUNDRY_HOST) as tunnel,
    ):
        assert tunnel.start_tls(FOUNDRY_HOST, origin.certificate) == _certificate(origin.certificate)


def test_an_extra_host_is_looked_into_and_only_that_one(origin: RecordingOrigin, tmp_path: Path) -> None:
    options = origin.options | {"foundry_extra_hosts": OTHER_HOSTS[0]}
    scripts = (ADDON, HARNESS / "to_origin.py")
    with Mitmdump(tmp_path, *scripts, options=options, environment=origin.environment) as proxy:
        with Tunnel(proxy.port, OTHER_HOSTS[0]) as tunnel:
            tunnel.start_tls(OTHER_HOSTS[0], proxy.certificate)
            raw = request(OTHER_HOSTS[0], b"[]", path="/some/gateway/v1/messages?beta=true")
            assert tunnel.exchange(raw).status == 200
        assert proxy.logged(f"host={OTHER_HOSTS[0]} path=messages outcome=not-understood")
        with Tunnel(proxy.port, OTHER_HOSTS[1]) as tunnel:
            assert tunnel.start_tls(OTHER_HOSTS[1], origin.certificate) == _certificate(origin.certificate)

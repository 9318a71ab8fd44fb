from __future__ import annotations

import datetime as dt
import ipaddress
import os
import shutil
import socket
import ssl
import stat
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from mitmproxy import certs

import provider_hosts
from connecting import certificate_authority
from connecting.certificate_authority import AuthorityError, create, ensure, inspect
from host_rules import FOUNDRY_DOMAINS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PERMITTED_HOST = "my-org.services.ai.azure.com"
FOREIGN_HOST = "www.bank.example"
LONG = 60.0
"""Seconds that nobody waits for but where something is broken, however busy the machine is."""


def certificate_in(directory: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((directory / "mitmproxy-ca-cert.pem").read_bytes())


def key_in(directory: Path) -> bytes:
    pem = (directory / "mitmproxy-ca.pem").read_bytes()
    public = serialization.load_pem_private_key(pem, None).public_key()
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dt.timedelta], None]]:
    """Makes authorities as old as told."""

    def make_them(age: dt.timedelta) -> None:
        monkeypatch.setattr(certificate_authority, "VALIDITY", dt.timedelta(days=395) - age)

    yield make_them
    monkeypatch.undo()


# What is made


def test_nothing_there_is_none(tmp_path: Path) -> None:
    assert inspect(tmp_path) is None
    assert inspect(tmp_path / "missing") is None
    assert list(tmp_path.iterdir()) == []


def test_made_where_there_is_none(tmp_path: Path) -> None:
    directory = tmp_path / "made" / "certs"
    authority = ensure(directory)
    assert authority.created
    assert authority.constrained
    assert authority.permitted == FOUNDRY_DOMAINS
    assert authority.certificate_path == directory / "mitmproxy-ca-cert.pem"
    assert authority.notice == ""
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert sorted(file.name for file in directory.iterdir()) == ["mitmproxy-ca-cert.pem", "mitmproxy-ca.pem"]


def test_a_second_time_nothing_is_written(tmp_path: Path) -> None:
    ensure(tmp_path, ["gateway.example.com"])
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in tmp_path.iterdir()}
    authority = ensure(tmp_path, ["gateway.example.com"])
    assert not authority.created
    assert {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in tmp_path.iterdir()} == before
    assert inspect(tmp_path) == authority


def test_key_is_never_readable_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = {}
    real_open = os.open

    def watched_open(path: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = real_open(path, flags, mode)
        modes[str(path)] = stat.S_IMODE(os.fstat(descriptor).st_mode)
        return descriptor

    monkeypatch.setattr(os, "open", watched_open)
    old_mask = os.umask(0)
    try:
        ensure(tmp_path)
    finally:
        os.umask(old_mask)
    key_files = [mode for path, mode in modes.items() if "mitmproxy-ca.pem" in path]
    assert key_files == [0o600]
    assert stat.S_IMODE((tmp_path / "mitmproxy-ca.pem").stat().st_mode) == 0o600
    assert b"PRIVATE" not in (tmp_path / "mitmproxy-ca-cert.pem").read_bytes()


def test_extensions(tmp_path: Path) -> None:
    ensure(tmp_path, ["gateway.example.com"])
    extensions = certificate_in(tmp_path).extensions
    basic = extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)
    names = extensions.get_extension_for_class(x509.NameConstraints)
    assert names.critical
    assert [name.value for name in names.value.permitted_subtrees or ()] == [*FOUNDRY_DOMAINS, "gateway.example.com"]
    assert [str(name.value) for name in names.value.excluded_subtrees or ()] == ["0.0.0.0/0", "::/0"]
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert not usage.value.digital_signature
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert extensions.get_extension_for_class(x509.SubjectKeyIdentifier)


def test_serves_a_year_and_is_p256(tmp_path: Path) -> None:
    authority = ensure(tmp_path)
    left = authority.expires - dt.datetime.now(dt.UTC)
    assert dt.timedelta(days=365 + 29) < left < dt.timedelta(days=398)
    assert certs.Cert(certificate_in(tmp_path)).keyinfo == ("EC (secp256r1)", 256)


# What is renewed


def test_extra_host_is_added_with_the_same_key(tmp_path: Path) -> None:
    ensure(tmp_path, ["one.example.com"])
    key = key_in(tmp_path)
    authority = ensure(tmp_path, ["two.example.com"])
    assert authority.created
    assert set(authority.permitted) == {*FOUNDRY_DOMAINS, "one.example.com", "two.example.com"}
    assert inspect(tmp_path).permitted == authority.permitted  # type: ignore[union-attr]
    assert key_in(tmp_path) == key
    assert certificate_in(tmp_path).subject == certificate_in(tmp_path).issuer


@pytest.mark.parametrize("host", ["a.one.example.com", "ONE.example.com", "*.one.example.com", "x.openai.azure.com"])
def test_host_that_is_permitted_changes_nothing(tmp_path: Path, host: str) -> None:
    ensure(tmp_path, ["one.example.com"])
    assert not ensure(tmp_path, [host]).created


def test_host_that_only_ends_alike_is_not_permitted(tmp_path: Path) -> None:
    ensure(tmp_path, ["one.example.com"])
    assert ensure(tmp_path, ["everyone.example.com"]).created


def test_near_expiry_is_made_anew_and_says_so(
    tmp_path: Path, old: Callable[[dt.timedelta], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    old(dt.timedelta(days=366))
    ensure(tmp_path)
    key = key_in(tmp_path)
    monkeypatch.undo()
    authority = ensure(tmp_path)
    assert authority.created
    assert "anew" in authority.notice
    assert authority.expires - dt.datetime.now(dt.UTC) > dt.timedelta(days=300)
    assert key_in(tmp_path) != key
    assert not ensure(tmp_path).created


def test_a_lost_or_different_certificate_file_is_mended(tmp_path: Path) -> None:
    authority = ensure(tmp_path)
    right = authority.certificate_path.read_bytes()
    authority.certificate_path.unlink()
    ensure(tmp_path)
    assert authority.certificate_path.read_bytes() == right
    authority.certificate_path.write_text("something else")
    ensure(tmp_path)
    assert authority.certificate_path.read_bytes() == right


def test_create_forgets_key_and_hosts(tmp_path: Path) -> None:
    ensure(tmp_path, ["one.example.com"])
    key = key_in(tmp_path)
    authority = create(tmp_path, ["two.example.com"])
    assert authority.permitted == (*FOUNDRY_DOMAINS, "two.example.com")
    assert key_in(tmp_path) != key


def test_starters_at_the_same_time_agree(tmp_path: Path) -> None:
    directory = tmp_path / "certs"
    barrier = threading.Barrier(8, timeout=LONG)

    def start() -> bytes:
        barrier.wait()
        ensure(directory)
        return key_in(directory)

    with ThreadPoolExecutor(8) as pool:
        keys = {future.result() for future in [pool.submit(start) for _ in range(8)]}
    assert len(keys) == 1
    assert inspect(directory) is not None
    leaf_issuer = certs.CertStore.from_store(directory, "mitmproxy", 2048).default_ca
    assert leaf_issuer.to_cryptography() == certificate_in(directory)


# What is not ours


def test_an_unconstrained_authority_is_left_alone(tmp_path: Path) -> None:
    certs.CertStore.create_store(tmp_path, "mitmproxy", 2048)
    before = (tmp_path / "mitmproxy-ca.pem").read_bytes()
    authority = ensure(tmp_path, ["gateway.example.com"])
    assert not authority.constrained
    assert not authority.created
    assert authority.permitted == ()
    assert (tmp_path / "mitmproxy-ca.pem").read_bytes() == before


def test_others_who_can_read_the_key_are_reported(tmp_path: Path) -> None:
    ensure(tmp_path)
    (tmp_path / "mitmproxy-ca.pem").chmod(0o644)
    assert "chmod 600" in ensure(tmp_path).notice


# What goes wrong


@pytest.mark.parametrize("host", ["10.1.2.3", "[::1]", "fe80::1"])
def test_ip_addresses_are_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(AuthorityError, match="names only"):
        ensure(tmp_path, [host])


@pytest.mark.parametrize("host", ["", ".", "*", "https://gateway.example.com", "a b", "a..b", "gateway:8443"])
def test_what_is_not_a_host_name_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(AuthorityError, match="not a host name"):
        ensure(tmp_path, [host])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mitmproxy-ca.pem").write_bytes(content)
    for attempt in (inspect, ensure):
        with pytest.raises(AuthorityError, match="damaged: delete it") as raised:
            attempt(tmp_path)
        assert "\n" not in str(raised.value)
    assert (tmp_path / "mitmproxy-ca.pem").read_bytes() == content


def test_key_of_another_certificate_is_damaged(tmp_path: Path) -> None:
    ensure(tmp_path / "a")
    ensure(tmp_path / "b")
    key = (tmp_path / "a" / "mitmproxy-ca.pem").read_bytes().partition(b"-----BEGIN CERTIFICATE")[0]
    (tmp_path / "a" / "mitmproxy-ca.pem").write_bytes(key + (tmp_path / "b" / "mitmproxy-ca-cert.pem").read_bytes())
    with pytest.raises(AuthorityError, match="damaged"):
        inspect(tmp_path / "a")


def test_unreadable_and_unwritable_are_one_line_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "odd" / "mitmproxy-ca.pem").mkdir(parents=True)
    for directory in (tmp_path / "file", tmp_path / "odd"):
        with pytest.raises(AuthorityError, match=r"make .* yours to read and write") as raised:
            ensure(directory)
        assert "\n" not in str(raised.value)


# What clients make of it


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[certs.CertStore, Path]:
    directory = tmp_path_factory.mktemp("certs")
    ensure(directory)
    return certs.CertStore.from_store(directory, "mitmproxy", 2048), directory


@pytest.fixture
def serve(store: tuple[certs.CertStore, Path], tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Serves a leaf certificate for a name, as mitmproxy makes it; returns the port on loopback."""
    listeners = []

    def start(name: str, *more: x509.GeneralName) -> int:
        entry = store[0].get_cert(name, [x509.DNSName(name), *more])
        leaf, key = tmp_path / f"{name}.pem", tmp_path / f"{name}.key"
        leaf.write_bytes(entry.cert.to_pem())
        key.write_bytes(
            entry.privatekey.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(leaf, key)
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=answer, args=(listener, context), daemon=True).start()
        return int(listener.getsockname()[1])

    def answer(listener: socket.socket, context: ssl.SSLContext) -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            raw.settimeout(LONG)
            try:
                with context.wrap_socket(raw, server_side=True) as connection:
                    connection.recv(4096)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            except OSError:
                raw.close()

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_the_hosts_of_every_provider_are_vouched_for_and_no_others_of_their_clouds(tmp_path: Path) -> None:
    """By a verifier that is not OpenSSL: that of cryptography."""
    hosts = [host for name in provider_hosts.PROVIDERS for host in provider_hosts.hosts(name)]
    authority = ensure(tmp_path, hosts)
    assert authority.permitted == (*FOUNDRY_DOMAINS, *hosts)
    made = certs.CertStore.from_store(tmp_path, "mitmproxy", 2048)
    trusted = PolicyBuilder().store(Store([certificate_in(tmp_path)]))
    foreign = (
        *("oauth2.googleapis.com", "us-east5.googleapis.com", "aiplatform.example", "storage.googleapis.com"),
        *("s3.amazonaws.com", "bedrock.us-east-1.amazonaws.com", "xbedrock-runtime.us-east-1.amazonaws.com"),
        *("console.anthropic.com", "anthropic.com", FOREIGN_HOST),
    )
    for host in (*hosts, PERMITTED_HOST, *foreign):
        leaf = made.get_cert(host, [x509.DNSName(host)]).cert.to_cryptography()
        try:
            trusted.build_server_verifier(x509.DNSName(host)).verify(leaf, [])
            assert host not in foreign
        except VerificationError as error:
            assert host in foreign, host
            assert "no permitted name constraints matched" in str(error)  # noqa: PT017 (any other would prove nothing)


def python_accepts(ca: Path, name: str, port: int) -> bool:
    context = ssl.create_default_context(cafile=str(ca))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with socket.create_connection(("127.0.0.1", port), timeout=LONG) as raw:
        try:
            with context.wrap_socket(raw, server_hostname=name):
                return True
        except ssl.SSLCertVerificationError as error:
            assert "permitted subtree" in str(error)  # noqa: PT017 (any other reason would prove nothing)
            return False


def curl_accepts(ca: Path, name: str, port: int) -> bool:
    resolve = f"{name}:{port}:127.0.0.1"
    argv = ["curl", "-sS", "--noproxy", "*", "--cacert", str(ca), "--resolve", resolve, f"https://{name}:{port}/"]
    done = subprocess.run(argv, capture_output=True, timeout=LONG, check=False)
    assert done.returncode in (0, 60), done.stderr
    return done.returncode == 0


def openssl_accepts(ca: Path, name: str, port: int) -> bool:
    argv = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", name, "-verify_hostname", name]
    argv += ["-CAfile", str(ca), "-verify_return_error"]
    done = subprocess.run(argv, capture_output=True, timeout=LONG, check=False, stdin=subprocess.DEVNULL)
    assert (done.returncode != 0) is (b"permitted subtree violation" in done.stderr), done.stderr
    return done.returncode == 0


def node_accepts(ca: Path, name: str, port: int) -> bool:
    code = (
        f"require('tls').connect({{host: '127.0.0.1', port: {port}, servername: '{name}'}})"
        ".on('secureConnect', () => process.exit(0))"
        ".on('error', e => { console.log(e); process.exit(/permitted/i.test(e.code + e.message) ? 1 : 3) })"
    )
    env = {"NODE_EXTRA_CA_CERTS": str(ca)}
    done = subprocess.run(
        [str(shutil.which("node")), "-e", code], env=env, capture_output=True, timeout=LONG, check=False
    )
    assert done.returncode in (0, 1), done.stdout
    return done.returncode == 0


CLIENTS = {"python": python_accepts, "curl": curl_accepts, "openssl": openssl_accepts, "node": node_accepts}


@pytest.mark.parametrize("client", CLIENTS)
def test_clients_accept_foundry_and_refuse_the_rest(
    client: str, store: tuple[certs.CertStore, Path], serve: Callable[..., int]
) -> None:
    if client != "python" and not shutil.which(client):
        pytest.skip(f"{client} is not installed")
    accepts = CLIENTS[client]
    ca = store[1] / "mitmproxy-ca-cert.pem"
    assert accepts(ca, PERMITTED_HOST, serve(PERMITTED_HOST))
    assert not accepts(ca, FOREIGN_HOST, serve(FOREIGN_HOST))


def test_an_ip_address_is_refused_even_beside_a_permitted_name(
    store: tuple[certs.CertStore, Path], serve: Callable[..., int]
) -> None:
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    context = ssl.create_default_context(cafile=str(store[1] / "mitmproxy-ca-cert.pem"))
    with (
        socket.create_connection(("127.0.0.1", serve(PERMITTED_HOST, loopback)), timeout=LONG) as raw,
        pytest.raises(ssl.SSLCertVerificationError, match="excluded subtree"),
    ):
        context.wrap_socket(raw, server_hostname=PERMITTED_HOST)

"""What somebody can do who has stolen the key of the certificate authority: imitate Foundry, and nobody else.

The constraint stands in the certificate that clients trust: whatever is signed with the key, clients hold it to that.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import shutil
import ssl
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connecting.certificate_authority import ensure

FOUNDRY = "made-up.services.ai.azure.com"
FOREIGN = (
    "www.bank.example",
    "services.ai.azure.com.evil.example",
    "evilservices.ai.azure.com",
    "azure.com",
    "login.microsoftonline.com",
    "management.azure.com",
    "api.anthropic.com",
    "localhost",
)

type Issuer = tuple[x509.Name, ec.EllipticCurvePrivateKey]
type Chain = tuple[list[x509.Certificate], ec.EllipticCurvePrivateKey]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certs")
    ensure(folder)
    return folder


class Thief:
    """Signs with the stolen key whatever is wanted."""

    def __init__(self, authority: Path) -> None:
        pem = (authority / "mitmproxy-ca.pem").read_bytes()
        key = serialization.load_pem_private_key(pem, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        certificate = x509.load_pem_x509_certificate((authority / "mitmproxy-ca-cert.pem").read_bytes())
        self._issuer: Issuer = (certificate.subject, key)

    def leaf(self, *names: x509.GeneralName, common_name: str = "x") -> Chain:
        key = ec.generate_private_key(ec.SECP256R1())
        return [_signed(self._issuer, key, common_name, names)], key

    def leaf_of_a_further_authority(self, *names: x509.GeneralName) -> Chain:
        middle = ec.generate_private_key(ec.SECP256R1())
        certificate = _signed(self._issuer, middle, "further", (), is_authority=True)
        key = ec.generate_private_key(ec.SECP256R1())
        return [_signed((certificate.subject, middle), key, "x", names), certificate], key


def _signed(
    issuer: Issuer,
    key: ec.EllipticCurvePrivateKey,
    common_name: str,
    names: Sequence[x509.GeneralName],
    *,
    is_authority: bool = False,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .issuer_name(issuer[0])
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer[1], hashes.SHA256())


def refusal(authority: Path, name: str, chain: Chain, folder: Path) -> str:
    """Why Python's TLS refuses to take who shows `chain` for `name`; empty if it takes them."""
    certificates, key = chain
    file = folder / "chain.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)
    )
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(file)
    trusting = ssl.create_default_context(cafile=str(authority / "mitmproxy-ca-cert.pem"))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(to_client, to_server, server_hostname=name)
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    waiting: list[Callable[[], None]] = [client.do_handshake, server.do_handshake]
    while waiting:
        step = waiting.pop(0)
        try:
            step()
        except ssl.SSLWantReadError:
            waiting.append(step)
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
    return ""


def dns(*names: str) -> list[x509.GeneralName]:
    return [x509.DNSName(name) for name in names]


def test_foundry_can_be_imitated(authority: Path, tmp_path: Path) -> None:
    """Which is why the key is nobody's but the user's; and what shows that the tests below refuse for their reason."""
    assert refusal(authority, FOUNDRY, Thief(authority).leaf(*dns(FOUNDRY)), tmp_path) == ""


@pytest.mark.parametrize("host", FOREIGN)
def test_no_other_host_can(host: str, authority: Path, tmp_path: Path) -> None:
    assert "permitted subtree" in refusal(authority, host, Thief(authority).leaf(*dns(host)), tmp_path)
    # nor beside a name that is permitted
    both = Thief(authority).leaf(*dns(FOUNDRY, host))
    assert "permitted subtree" in refusal(authority, host, both, tmp_path)
    assert "permitted subtree" in refusal(authority, FOUNDRY, both, tmp_path)


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("*.azure.com", "management.azure.com"),
        ("*.ai.azure.com", "other.ai.azure.com"),
        ("*.bank.example", "www.bank.example"),
    ],
)
def test_no_wildcard_reaches_beyond(name: str, host: str, authority: Path, tmp_path: Path) -> None:
    assert "permitted subtree" in refusal(authority, host, Thief(authority).leaf(*dns(name)), tmp_path)


def test_no_address_can(authority: Path, tmp_path: Path) -> None:
    for address in ("127.0.0.1", "192.0.2.1", "::1"):
        chain = Thief(authority).leaf(x509.IPAddress(ipaddress.ip_address(address)))
        assert "excluded subtree" in refusal(authority, address, chain, tmp_path)


def test_no_further_authority_can_be_made(authority: Path, tmp_path: Path) -> None:
    for host in (FOUNDRY, FOREIGN[0]):
        chain = Thief(authority).leaf_of_a_further_authority(*dns(host))
        assert "path length" in refusal(authority, host, chain, tmp_path)


def test_a_name_that_stands_elsewhere_than_it_should_does_not_count(authority: Path, tmp_path: Path) -> None:
    assert refusal(authority, FOREIGN[0], Thief(authority).leaf(common_name=FOREIGN[0]), tmp_path)


def test_openssl_says_the_same(authority: Path, tmp_path: Path) -> None:
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    for host, code in ((FOUNDRY, 0), (FOREIGN[0], 2)):
        certificates, _ = Thief(authority).leaf(*dns(host))
        leaf = tmp_path / f"{host}.pem"
        leaf.write_bytes(certificates[0].public_bytes(serialization.Encoding.PEM))
        argv = ["openssl", "verify", "-CAfile", str(authority / "mitmproxy-ca-cert.pem"), str(leaf)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, done.stderr
        assert ("permitted subtree violation" in done.stdout + done.stderr) is (code != 0)

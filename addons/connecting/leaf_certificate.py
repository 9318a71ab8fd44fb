"""The certificate that a client is shown: for the one name that it asked for."""

from __future__ import annotations

from cryptography import x509
from mitmproxy.master import Master

__all__ = ["has_authority", "prepare"]


def has_authority(master: Master) -> bool:
    """Whether mitmproxy has looked for its certificate authority."""
    found = master.addons.get("tlsconfig")
    return found is not None and found.certstore is not None


def prepare(master: Master, host: str) -> None:
    """Make the leaf certificate for `host`, so that mitmproxy finds it and makes none itself.

    mitmproxy would add the address that it connects to, and the proxy's own address where the client names no host. A
    certificate authority that excludes addresses cannot vouch for such a certificate: clients would refuse it.
    """
    store = master.addons.get("tlsconfig").certstore
    entry = store.get_cert(host, [x509.DNSName(host)])  # one that the user gave for this host comes first
    store.add_cert(entry, host)

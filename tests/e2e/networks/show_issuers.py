"""A program that Claude Code runs: who issued the certificates that it is shown for the hosts in its arguments.

For each host and each variable that names a bundle of authorities: one line, if the certificate is trusted by it.
"""

from __future__ import annotations

import os
import socket
import ssl
import sys
from urllib.parse import urlsplit

from cryptography import x509

VARIABLES = ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


def issuer(host: str, bundle: str) -> str:
    """The common name of the issuer. Raises ssl.SSLError if `bundle` does not make the certificate trusted."""
    proxy = urlsplit(os.environ["HTTPS_PROXY"])
    with socket.create_connection((str(proxy.hostname), proxy.port or 80), timeout=20) as connection:
        connection.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
        while not connection.recv(4096).endswith(b"\r\n\r\n"):
            pass
        context = ssl.create_default_context(cafile=bundle)
        with context.wrap_socket(connection, server_hostname=host) as encrypted:
            leaf = x509.load_der_x509_certificate(encrypted.getpeercert(binary_form=True) or b"")
    (name,) = leaf.issuer.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)
    return str(name.value)


if __name__ == "__main__":
    for host in sys.argv[1:]:
        for variable in VARIABLES:
            sys.stdout.write(f"{host} {variable} {issuer(host, os.environ[variable])}\n")

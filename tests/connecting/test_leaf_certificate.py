from __future__ import annotations

from pathlib import Path

from cryptography import x509
from mitmproxy import connection
from mitmproxy.addons import tlsconfig
from mitmproxy.proxy.context import Context
from mitmproxy.test import taddons, tflow

from connecting import leaf_certificate
from connecting.certificate_authority import ensure

HOST = "made-up.services.ai.azure.com"


def test_mitmproxy_shows_a_client_the_prepared_certificate_whatever_it_connects_to(tmp_path: Path) -> None:
    ensure(tmp_path)
    tls = tlsconfig.TlsConfig()
    with taddons.context(tls) as tctx:
        tctx.options.update(confdir=str(tmp_path))
        leaf_certificate.prepare(tctx.master, HOST)
        context = Context(tflow.tclient_conn(), tctx.options)
        context.client.sni = HOST
        context.server = connection.Server(address=("192.0.2.1", 443))
        entry = tls.get_cert(context)
    assert list(entry.cert.altnames) == [x509.DNSName(HOST)]

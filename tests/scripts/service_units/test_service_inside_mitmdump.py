from __future__ import annotations

import logging
from pathlib import Path

import pytest
from mitmproxy.net.server_spec import ServerSpec
from mitmproxy.test import taddons, tflow, tutils

from connecting import certificate_authority
from launcher import durable_trust
from service_units import inside_mitmdump

HOST = "res.services.ai.azure.com"


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("https_proxy", raising=False)
    monkeypatch.setenv("FOUNDRY_SERVICE_PORT", "8787")
    monkeypatch.setenv("FOUNDRY_COMPRESS_STATE_DIR", str(tmp_path / "state"))


@pytest.mark.parametrize(
    ("proxy", "wanted"),
    [
        ("http://user:pass%20word@company.example:3128", "user:pass word"),
        ("http://company.example:3128", None),
        ("http://user:word@127.0.0.1:8787", None),  # itself
    ],
)
def test_the_company_proxy_hears_what_it_wants(monkeypatch: pytest.MonkeyPatch, proxy: str, wanted: str | None) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with taddons.context() as tctx:
        tctx.options.add_option("upstream_auth", str | None, None, "")
        inside_mitmdump.NextHop().load(None)
        assert tctx.options.upstream_auth == wanted


@pytest.mark.parametrize(
    ("no_proxy", "host", "is_direct"),
    [
        (".azure.com", HOST, True),
        ("other.example,res.services.ai.azure.com", HOST, True),
        ("other.example", HOST, False),
        ("", HOST, False),
        (".azure.com", "gateway.example", False),
    ],
)
def test_no_proxy_leads_past_the_company_proxy(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str, host: str, is_direct: bool
) -> None:
    monkeypatch.setenv("NO_PROXY", no_proxy)
    flow = tflow.tflow(req=tutils.treq(host=host, authority=host.encode()))
    company: ServerSpec = ("http", ("company.example", 3128))
    flow.server_conn.via = company
    flow.server_conn.address = (host, 443)
    inside_mitmdump.NextHop().requestheaders(flow)
    assert flow.server_conn.via == (None if is_direct else company)
    assert flow.server_conn.address == (host, 443)


def test_bundles_follow_the_authority(tmp_path: Path) -> None:
    directory = durable_trust.folder(tmp_path / "state")
    authority = certificate_authority.ensure(tmp_path / "certs")
    variables = durable_trust.write({}, authority.certificate_path, directory)
    certificate_authority.create(tmp_path / "certs")
    with taddons.context() as tctx:
        tctx.options.confdir = str(tmp_path / "certs")
        inside_mitmdump.Bundles().running()
    assert authority.certificate_path.read_bytes() in Path(variables["NODE_EXTRA_CA_CERTS"]).read_bytes()


def test_bundles_that_cannot_be_written_stop_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    durable_trust.folder(tmp_path / "state").mkdir(parents=True)
    with taddons.context() as tctx:
        tctx.options.confdir = str(tmp_path / "nowhere")
        inside_mitmdump.Bundles().running()
    assert "could not be written anew" in caplog.text


def test_connections_have_no_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger("mitmproxy.proxy.server")
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    inside_mitmdump.FewerLines().load(None)
    assert not logger.isEnabledFor(logging.INFO)
    assert logger.isEnabledFor(logging.WARNING)
    logger.setLevel(logging.NOTSET)

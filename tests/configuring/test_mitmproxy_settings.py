from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from mitmproxy.addons import next_layer, proxyserver, save, savehar
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import taddons
from mitmproxy.tools.web.webaddons import WebAddon

from configuring.mitmproxy_settings import (
    client_setting,
    discard_authority_just_made,
    is_given,
    listen_addresses,
    obstacles,
    set_unless_given,
)


@pytest.fixture
def context() -> Iterator[taddons.context]:
    with taddons.context(proxyserver.Proxyserver(), next_layer.NextLayer(), save.Save(), savehar.SaveHar()) as tctx:
        yield tctx


def test_what_nobody_set_is_set(context: taddons.context) -> None:
    assert set_unless_given(context.options) == {"upstream_cert": False, "http2": False, "listen_host": "127.0.0.1"}
    assert context.options.upstream_cert is False
    assert context.options.http2 is False
    assert context.options.listen_host == "127.0.0.1"
    assert set_unless_given(context.options) == {}


def test_what_somebody_set_stands_even_if_it_is_the_default(context: taddons.context) -> None:
    context.options.update(http2=True, listen_host="0.0.0.0")
    assert is_given(context.options, "http2")
    assert not is_given(context.options, "upstream_cert")
    assert set_unless_given(context.options) == {"upstream_cert": False}
    assert context.options.http2 is True
    assert context.options.listen_host == "0.0.0.0"


def test_what_another_option_forbids_is_left(context: taddons.context) -> None:
    context.options.update(add_upstream_certs_to_client_chain=True)
    assert "upstream_cert" not in set_unless_given(context.options)
    assert context.options.upstream_cert is True


def test_without_options_in_the_way_nothing_is_said(context: taddons.context) -> None:
    assert list(obstacles(context.options, ("gateway.example",))) == []


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("stream_large_bodies", "1m", "stream_large_bodies=1m: mitmproxy sends larger requests on"),
        ("ignore_hosts", [r"azure\.com"], "ignore_hosts: it keeps resource.services.ai.azure.com from this addon"),
        ("ignore_hosts", [r"^gateway\.example:443$"], "ignore_hosts: it keeps gateway.example from this addon"),
        ("allow_hosts", [r"other\.example"], "allow_hosts: it keeps resource.services.ai.azure.com from this addon"),
        ("tcp_hosts", [r"\.COM$"], "tcp_hosts: it keeps resource.services.ai.azure.com from this addon"),
        ("save_stream_file", "/tmp/flows", "save_stream_file=/tmp/flows: that file will hold the API keys"),
        ("hardump", "/tmp/har", "hardump=/tmp/har: that file will hold the API keys"),
    ],
)
def test_an_option_in_the_way_is_told_of(
    name: str, value: object, line: str, context: taddons.context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_FOUNDRY_RESOURCE", raising=False)
    # Not update(): the parts of mitmproxy that have the options would act on them.
    context.options._options[name].value = value
    (said,) = obstacles(context.options, ("gateway.example",))
    assert said.startswith(line)


@pytest.mark.parametrize(
    ("name", "patterns"), [("ignore_hosts", [r"other\.example"]), ("allow_hosts", [r"\.azure\.", "gateway"])]
)
def test_an_option_that_leaves_foundry_alone_is_not(name: str, patterns: list[str], context: taddons.context) -> None:
    context.options._options[name].value = patterns
    assert list(obstacles(context.options, ("gateway.example",))) == []


@pytest.mark.parametrize(("host", "said"), [("127.0.0.1", 0), ("::1", 0), ("0.0.0.0", 1), ("", 1), ("192.0.2.1", 1)])
def test_a_mitmweb_that_others_reach_is_told_of(host: str, said: int, context: taddons.context) -> None:
    context.master.addons.add(WebAddon())
    context.options._options["web_host"].value = host
    assert [line.startswith(f"web_host={host}: ") for line in obstacles(context.options, ())] == [True] * said


def test_the_users_own_resource_is_the_example(context: taddons.context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_FOUNDRY_RESOURCE", "my-org")
    context.options._options["ignore_hosts"].value = ["my-org"]
    assert len(list(obstacles(context.options, ()))) == 1


def test_a_mitmproxy_that_does_not_listen_has_no_addresses() -> None:
    with taddons.context() as tctx:
        assert listen_addresses(tctx.master) == []
        assert client_setting(tctx.master) == "HTTPS_PROXY=http://HOST:PORT"


@pytest.mark.parametrize(
    ("listening", "setting"),
    [
        ([("regular", "127.0.0.1")], "HTTPS_PROXY=http://127.0.0.1:8080"),
        ([("upstream:http://proxy.example:3128", "::1")], "HTTPS_PROXY=http://[::1]:8080"),
        ([("reverse:https://h.example", "127.0.0.1")], "ANTHROPIC_FOUNDRY_BASE_URL=http://127.0.0.1:8080/anthropic"),
        ([("reverse:https://h.example", "192.0.2.1"), ("regular", "127.0.0.1")], "HTTPS_PROXY=http://127.0.0.1:8080"),
    ],
)
def test_what_leads_a_client_here_depends_on_mode_and_address(listening: list[tuple[str, str]], setting: str) -> None:
    servers = [SimpleNamespace(mode=ProxyMode.parse(mode), listen_addrs=((host, 8080),)) for mode, host in listening]
    master = SimpleNamespace(addons={"proxyserver": SimpleNamespace(servers=servers)})
    assert client_setting(master) == setting  # type: ignore[arg-type]


def test_an_authority_of_this_process_is_discarded(tmp_path: Path) -> None:
    for name in ("mitmproxy-ca.pem", "mitmproxy-ca-cert.pem", "mitmproxy-dhparam.pem"):
        (tmp_path / name).touch()
    assert discard_authority_just_made(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mitmproxy-dhparam.pem"]
    assert not discard_authority_just_made(tmp_path)


def test_an_authority_that_was_there_before_is_kept(tmp_path: Path) -> None:
    (tmp_path / "mitmproxy-ca.pem").touch()
    (tmp_path / "mitmproxy-ca-cert.pem").touch()
    yesterday = time.time() - 86_400
    os.utime(tmp_path / "mitmproxy-ca.pem", (yesterday, yesterday))
    assert not discard_authority_just_made(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2

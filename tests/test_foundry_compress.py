from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
import time
import tomllib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mitmproxy import ctx, http
from mitmproxy.addons import tlsconfig
from mitmproxy.exceptions import OptionsError
from mitmproxy.flow import Error
from mitmproxy.options import Options
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import taddons, tflow, tutils

from billing.usage import Usage
from compression_engine import Engine, Outcome, ResultChange, Rewrite, WireFormat
from connecting import arrivals
from connecting.certificate_authority import AUTHORITY_FILE, inspect
from connecting.connections import CLIENT_LEFT
from conversations import Standing
from foundry_compress import VERSION, FoundryCompress
from rewriting import request_rewriter
from rewriting.treatment import Treatment, treat

HOST = "made-up.services.ai.azure.com"
OTHER = "other.example"
type Configure = Callable[..., None]


@pytest.fixture(autouse=True)
def _shortening_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def rewrite(_self: Engine, body: bytes, wire_format: WireFormat, *_: object) -> Rewrite:
        if wire_format is not WireFormat.ANTHROPIC_MESSAGES:
            return Rewrite(body, Outcome.NOTHING_TO_DO)
        return Rewrite(body[1:], Outcome.REWRITTEN, (ResultChange("stub", 9, 6),), last_message=b"{}")

    monkeypatch.setattr(Engine, "rewrite_if_quick", rewrite)
    monkeypatch.delenv("ANTHROPIC_FOUNDRY_BASE_URL", raising=False)


@pytest.fixture
async def addon(tmp_path: Path, options_with_authority: Callable[[Path], Options]) -> AsyncIterator[FoundryCompress]:
    """The addon, running, with a certificate authority of its own."""
    tested = FoundryCompress()
    with taddons.context(tlsconfig.TlsConfig(), options=options_with_authority(tmp_path)) as tctx:
        tctx.master.addons.add(tested)
        tctx.options.update(foundry_state_dir=str(tmp_path / "state"))
        tested.running()
        yield tested
        tested.done()


def _options() -> Any:
    return ctx.options


def _flow(
    host: str = HOST, path: str = "/anthropic/v1/messages?beta=true", method: str = "POST", sni: str | None = HOST
) -> http.HTTPFlow:
    """A request as it is within a connection that was looked into, or in plain HTTP if `sni` is None."""
    flow = tflow.tflow(
        req=tutils.treq(
            host=host,
            path=path.encode(),
            method=method.encode(),
            scheme=b"https" if sni else b"http",
            content=b"body",
            headers=((b"Host", host.encode()),),
        )
    )
    flow.client_conn.sni = sni
    flow.client_conn.proxy_mode = ProxyMode.parse("regular")
    return flow


async def _answer(addon: FoundryCompress, flow: http.HTTPFlow, status: int = 200) -> None:
    flow.response = tutils.tresp(status_code=status)
    addon.responseheaders(flow)
    addon.response(flow)
    await asyncio.sleep(0)  # it is written down when the client has it


def _stats(addon: FoundryCompress) -> dict[str, Any]:
    return addon.stats()


# Requests


async def test_a_request_is_rewritten_counted_and_told_of(
    addon: FoundryCompress, caplog: pytest.LogCaptureFixture
) -> None:
    flow = _flow()
    with caplog.at_level(logging.INFO):
        await addon.request(flow)
        assert flow.request.content == b"ody"
        assert flow.request.headers["content-length"] == "3"
        await _answer(addon, flow)
    assert _stats(addon)["rewritten"] == 1
    assert (
        f"host={HOST} path=messages outcome=rewritten tokens_removed=3 set_aside=0 bytes_before=4 bytes_after=3"
        in caplog.text
    )
    assert flow.metadata == {}


async def test_the_memory_of_a_body_is_given_back_once_its_answer_has_ended(addon: FoundryCompress) -> None:
    flow = _flow()
    await addon.request(flow)
    assert addon._freed_memory._size == 0
    await _answer(addon, flow)
    assert addon._freed_memory._size == len(b"ody")


async def test_tokens_are_counted_by_the_service_as_the_request_will_be_and_not_by_us(addon: FoundryCompress) -> None:
    flow = _flow(path="/anthropic/v1/messages/count_tokens?beta=true")
    await addon.request(flow)
    assert flow.request.content == b"ody"
    await _answer(addon, flow)
    of_a_response = _flow(path="/openai/v1/responses/input_tokens")
    await addon.request(of_a_response)
    await _answer(addon, of_a_response)
    assert _stats(addon)["requests"] == 0


async def test_what_is_left_alone_is_counted(addon: FoundryCompress) -> None:
    flow = _flow(path="/openai/v1/responses")
    await addon.request(flow)
    assert flow.request.content == b"body"
    await _answer(addon, flow)
    assert _stats(addon)["unchanged"] == {"nothing-to-do": 1}


async def test_an_unknown_format_passes_and_is_told_of_once(
    addon: FoundryCompress, caplog: pytest.LogCaptureFixture
) -> None:
    for path in ("/openai/v2/responses", "/other"):
        flow = _flow(path=path)
        await addon.request(flow)
        assert flow.request.content == b"body"
        await _answer(addon, flow)
    assert _stats(addon)["unchanged"] == {"unknown-format": 2}
    assert caplog.text.count("format is not known") == 1


BEDROCK = "bedrock-runtime.us-east-1.amazonaws.com"
INVOKE = "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke"


async def test_a_provider_is_treated_like_foundry_once_it_is_named(addon: FoundryCompress) -> None:
    flow = _flow(BEDROCK, INVOKE, sni=BEDROCK)
    await addon.request(flow)
    assert flow.request.content == b"body"
    assert not _hello(addon, BEDROCK)
    _options().update(foundry_providers="bedrock:us-east-1")
    await addon.request(flow)
    assert flow.request.content == b"ody"
    assert _hello(addon, BEDROCK)


async def test_an_option_that_keeps_a_provider_from_us_is_told_of(
    addon: FoundryCompress, caplog: pytest.LogCaptureFixture
) -> None:
    _options().update(foundry_providers="bedrock:us-east-1", ignore_hosts=["amazonaws"])
    assert f"ignore_hosts: it keeps {BEDROCK} from this addon" in caplog.text
    assert addon.stats()["problems"]


@pytest.mark.parametrize(
    ("host", "path"),
    [(BEDROCK, "/model/a/converse"), (HOST, "/openai/v1/embeddings"), (OTHER, "/v1/embeddings?a=b")],
)
async def test_what_else_a_host_serves_passes_without_a_word(
    host: str, path: str, addon: FoundryCompress, caplog: pytest.LogCaptureFixture
) -> None:
    _options().update(foundry_providers="bedrock", foundry_extra_hosts=OTHER)
    caplog.clear()
    flow = _flow(host, path, sni=host)
    await addon.request(flow)
    assert flow.request.content == b"body"
    assert _stats(addon)["requests"] == 0
    assert caplog.text == ""


async def test_a_signed_request_passes_as_it_is_and_why_is_told_once(
    addon: FoundryCompress, caplog: pytest.LogCaptureFixture
) -> None:
    _options().update(foundry_providers="bedrock")
    for _ in range(2):
        flow = _flow(BEDROCK, INVOKE, sni=BEDROCK)
        flow.request.headers["Authorization"] = "AWS4-HMAC-SHA256 Credential=made-up, Signature=00"
        before = flow.request.get_state()
        await addon.request(flow)
        assert flow.request.get_state() == before
        await _answer(addon, flow)
    assert _stats(addon)["unchanged"] == {"signed": 2}
    assert caplog.text.count("signature covers its body") == 1
    assert "AWS_BEARER_TOKEN_BEDROCK" in caplog.text


async def test_a_request_with_a_hash_of_its_body_in_a_header_passes_as_it_is(
    addon: FoundryCompress, caplog: pytest.LogCaptureFixture
) -> None:
    flow = _flow()
    flow.request.headers["Content-Digest"] = "sha-256=:AA==:"
    before = flow.request.get_state()
    await addon.request(flow)
    assert flow.request.get_state() == before
    await _answer(addon, flow)
    assert _stats(addon)["unchanged"] == {"signed": 1}
    assert f"A request to {HOST} passed as it was, because a header has a hash of its body" in caplog.text


async def test_a_request_with_claude_codes_hash_passes_as_it_is_and_why_is_told_once(
    addon: FoundryCompress, caplog: pytest.LogCaptureFixture
) -> None:
    _options().update(foundry_providers="anthropic")
    body = b'{"system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=2; cch=a7700;"}]}'
    for _ in range(2):
        flow = _flow("api.anthropic.com", "/v1/messages?beta=true", sni="api.anthropic.com")
        flow.request.content = body
        await addon.request(flow)
        assert flow.request.content == body
        await _answer(addon, flow)
    assert _stats(addon)["unchanged"] == {"signed": 2}
    assert caplog.text.count("CLAUDE_CODE_ATTRIBUTION_HEADER=0") == 1


@pytest.mark.usefixtures("addon")
async def test_naming_a_provider_issues_the_authority_again_with_the_same_key(tmp_path: Path) -> None:
    before = inspect(tmp_path)
    assert before is not None
    key = (tmp_path / AUTHORITY_FILE).read_text().partition("-----BEGIN CERTIFICATE")[0]
    _options().update(foundry_providers="bedrock:us-east-1")
    after = inspect(tmp_path)
    assert after is not None
    assert set(after.permitted) - set(before.permitted) == {
        BEDROCK,
        "bedrock-runtime-fips.us-east-1.amazonaws.com",
    }
    assert (tmp_path / AUTHORITY_FILE).read_text().partition("-----BEGIN CERTIFICATE")[0] == key
    _options().update(foundry_providers="")
    assert inspect(tmp_path) == after, "what was permitted once stays permitted"


async def test_observe_changes_nothing(addon: FoundryCompress) -> None:
    _options().update(foundry_mode="observe")
    flow = _flow()
    before = flow.request.get_state()
    await addon.request(flow)
    assert flow.request.get_state() == before
    assert _stats(addon)["mode"] == "observe"
    await _answer(addon, flow)
    assert _stats(addon)["unchanged"] == {"observed": 1}
    assert _stats(addon)["tokens_observed"] == 3


@pytest.mark.parametrize(("status", "saved"), [(200, 3), (400, 0), (429, 0), (529, 0)])
async def test_only_what_the_service_answers_is_saved(status: int, saved: int, addon: FoundryCompress) -> None:
    """A client repeats what was refused: three refusals and an answer would have counted four times."""
    flow = _flow()
    await addon.request(flow)
    assert _stats(addon)["tokens_removed"] == 0
    await _answer(addon, flow, status)
    assert (_stats(addon)["requests"], _stats(addon)["tokens_removed"]) == (1, saved)


async def test_nothing_is_kept_of_a_request_that_is_never_answered(addon: FoundryCompress) -> None:
    flow = _flow()
    await addon.request(flow)
    ((_, pending),) = addon._unended.values()
    assert pending.treatment.body is None
    del flow
    gc.collect()
    assert not addon._unended
    assert not addon._unsettled


def _not_live(flow: http.HTTPFlow) -> None:
    flow.live = False


def _answered(flow: http.HTTPFlow) -> None:
    flow.response = tutils.tresp()


def _broken(flow: http.HTTPFlow) -> None:
    flow.error = tflow.terr()


def _replayed(flow: http.HTTPFlow) -> None:
    flow.is_replay = "request"


def _get(flow: http.HTTPFlow) -> None:
    flow.request.method = "GET"


def _for_another_host(flow: http.HTTPFlow) -> None:
    flow.client_conn.sni = OTHER


def _off(_flow: http.HTTPFlow) -> None:
    _options().update(foundry_mode="off")


@pytest.mark.parametrize("change", [_not_live, _answered, _broken, _replayed, _get, _for_another_host, _off])
async def test_what_is_left_alone(change: Callable[[http.HTTPFlow], None], addon: FoundryCompress) -> None:
    flow = _flow()
    change(flow)
    await addon.request(flow)
    assert flow.request.content == b"body"
    assert _stats(addon)["requests"] == 0


@pytest.mark.parametrize(
    ("mode", "host", "sni", "rewritten"),
    [
        ("regular", "127.0.0.1", HOST, True),  # redirected, or connected to by address
        ("regular", HOST, OTHER, False),
        ("regular", HOST, None, True),
        (f"reverse:https://{HOST}", "127.0.0.1", None, True),
        (f"reverse:https://{HOST}", HOST, "localhost", True),
        (f"reverse:https://{OTHER}", HOST, HOST, False),
    ],
)
async def test_which_host_a_request_is_for(
    mode: str,
    host: str,
    sni: str | None,
    rewritten: bool,
    addon: FoundryCompress,
) -> None:
    flow = _flow(host, sni=sni)
    flow.client_conn.proxy_mode = ProxyMode.parse(mode)
    await addon.request(flow)
    assert (flow.request.content == b"ody") is rewritten


async def test_a_host_header_proves_nothing(addon: FoundryCompress) -> None:
    flow = _flow(OTHER, sni=None)
    flow.request.headers["Host"] = HOST
    await addon.request(flow)
    assert flow.request.content == b"body"


# Streaming


async def test_responses_stream_unless_someone_else_decided(addon: FoundryCompress) -> None:
    flow = _flow()
    flow.response = tutils.tresp()
    addon.responseheaders(flow)
    assert flow.response.stream is True
    flow.response.stream = bytes.upper
    addon.responseheaders(flow)
    assert flow.response.stream == bytes.upper


@pytest.mark.parametrize("change", [_not_live, _broken, _replayed])
async def test_responses_that_are_not_on_their_way_do_not(
    change: Callable[[http.HTTPFlow], None], addon: FoundryCompress
) -> None:
    flow = _flow()
    flow.response = tutils.tresp()
    change(flow)
    addon.responseheaders(flow)
    assert not flow.response.stream


async def test_requests_to_other_hosts_stream(addon: FoundryCompress) -> None:
    other, foundry, local = _flow(OTHER, sni=None), _flow(), _flow("foundry.local", sni=None)
    refused = _flow(OTHER, sni=None)
    refused.response = tutils.tresp()
    for flow in (other, foundry, local, refused):
        addon.requestheaders(flow)
    assert other.request.stream is True
    assert not foundry.request.stream
    assert not local.request.stream
    assert not refused.request.stream  # mitmproxy cannot both answer and stream


@pytest.mark.parametrize(
    ("method", "path", "streams"),
    [
        ("POST", "/openai/v1/files", True),
        ("POST", "/made/up", True),
        ("PUT", "/openai/v1/responses", True),
        ("POST", "/openai/v1/responses", False),
        ("POST", "/anthropic/v1/messages?beta=true", False),
    ],
)
async def test_what_nobody_would_rewrite_streams_to_foundry_too(
    method: str, path: str, streams: bool, addon: FoundryCompress
) -> None:
    flow = _flow(path=path, method=method)
    addon.requestheaders(flow)
    assert (flow.request.stream is True) is streams


async def test_an_unknown_format_is_told_of_though_its_body_has_passed(addon: FoundryCompress) -> None:
    flow = _flow(path="/made/up")
    addon.requestheaders(flow)
    flow.request.content = None
    await addon.request(flow)
    await _answer(addon, flow)
    assert _stats(addon)["unchanged"] == {"unknown-format": 1}


# Connections


def _hello(addon: FoundryCompress, host: str) -> bool:
    """Whether a connection to `host` is looked into."""
    context = Context(tflow.tclient_conn(), _options())
    context.client.sni = host
    context.client.proxy_mode = ProxyMode.parse("regular")
    context.server.address = (host, 443)
    data = SimpleNamespace(context=context, ignore_connection=False)
    addon.connections.tls_clienthello(data)  # type: ignore[arg-type]
    return not data.ignore_connection


async def test_the_options_say_whose_connections_are_looked_into(addon: FoundryCompress) -> None:
    assert _hello(addon, HOST)
    assert not _hello(addon, OTHER)
    _options().update(foundry_extra_hosts=OTHER)
    assert _hello(addon, OTHER)
    _options().update(foundry_mode="off")
    assert not _hello(addon, HOST)


async def test_a_foundry_that_cannot_be_reached_is_told_of(
    addon: FoundryCompress, caplog: pytest.LogCaptureFixture
) -> None:
    flow = _flow()
    flow.error = Error("Connect call failed")
    flow.server_conn.error = "Connect call failed"
    addon.error(flow)
    assert f"could not reach {HOST}: Connect call failed" in caplog.text


# Failures


async def test_a_failure_in_any_hook_stays_in_it(addon: FoundryCompress, caplog: pytest.LogCaptureFixture) -> None:
    await addon.request(None)  # type: ignore[arg-type]
    for hook in (
        addon.requestheaders,
        addon.responseheaders,
        addon.error,
    ):
        hook(None)  # type: ignore[arg-type]
    assert [record.getMessage().split()[0] for record in caplog.records] == [
        "request",
        "requestheaders",
        "responseheaders",
        "error",
    ]


@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt, SystemExit])
async def test_what_ends_mitmproxy_does_not(
    error: type[BaseException], addon: FoundryCompress, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def end(*_: object) -> None:
        raise error

    monkeypatch.setattr(request_rewriter, "treat", end)
    flow = _flow()
    with pytest.raises(error):
        await addon.request(flow)
    assert flow.request.content == b"body"


@pytest.mark.parametrize("error", [OptionsError("x"), BaseException("x")])
async def test_what_would_hang_the_client_does(
    error: BaseException, addon: FoundryCompress, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(request_rewriter, "treat", fail)
    flow = _flow()
    await addon.request(flow)
    assert flow.request.content == b"body"


async def test_what_is_remembered_to_go_out_goes_out_whatever_fails_beside_it(
    addon: FoundryCompress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client's own bytes would be another beginning than that of the next request."""

    def fail(*_: object, **__: object) -> None:
        raise ValueError

    monkeypatch.setattr(addon._bookkeeper, "note", fail)
    flow = _flow()
    await addon.request(flow)
    assert flow.request.content == b"ody"


async def test_what_waits_when_the_settings_change_or_the_addon_is_let_go_goes_out_as_it_was_decided(
    addon: FoundryCompress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    acts = [lambda: _options().update(foundry_state_dir=str(tmp_path / "elsewhere")), addon.done]

    async def meanwhile(*args: Any) -> Treatment:
        acts.pop(0)()
        return await treat(*args)

    monkeypatch.setattr(request_rewriter, "treat", meanwhile)
    flow = _flow()
    await addon.request(flow)
    await _answer(addon, flow)
    assert _stats(addon)["requests"] == 1
    flow = _flow()
    await addon.request(flow)
    assert flow.request.content == b"ody"
    assert "failed" not in caplog.text


# Start, options, notices


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    assert project["project"]["version"] == VERSION


async def test_foundry_local(addon: FoundryCompress) -> None:
    flow = _flow("foundry.local", "/ready", "GET", sni=None)
    await addon.request(flow)
    assert flow.response is not None
    ready = json.loads(flow.response.content or b"")
    assert ready.keys() == {"addon", "version", "mode", "pid", "extra_hosts", "providers"}
    assert (ready["addon"], ready["version"], ready["mode"]) == ("foundry_compress", VERSION, "balanced")
    assert ready["providers"] == []
    _options().update(foundry_providers="bedrock:us-east-1", foundry_extra_hosts=OTHER)
    ready = addon.ready()
    assert (ready["providers"], ready["extra_hosts"]) == (["bedrock:us-east-1"], [OTHER])


async def test_a_bad_value_while_running_is_refused_and_undone(addon: FoundryCompress) -> None:
    with pytest.raises(OptionsError, match=r"^foundry_mode: 'fast' is not possible"):
        _options().update(foundry_mode="fast")
    assert _options().foundry_mode == "balanced"
    flow = _flow()
    await addon.request(flow)
    assert flow.request.content == b"ody"


async def test_what_has_been_loaded_is_not_looked_through_again_and_again(addon: FoundryCompress) -> None:
    assert gc.get_freeze_count() > 10_000
    addon.done()
    assert not gc.get_freeze_count()


async def test_a_stream_waits_for_no_thread_of_ours_longer_than_a_moment(addon: FoundryCompress) -> None:
    assert sys.getswitchinterval() == pytest.approx(0.0005)
    addon.done()
    assert sys.getswitchinterval() == pytest.approx(0.005)


async def test_a_change_while_running_is_told_of(addon: FoundryCompress, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        _options().update(foundry_mode="observe")
        _options().update(foundry_extra_hosts="gateway.example")
        _options().update(foundry_memory_mb="1")
    assert caplog.text.count("Foundry Compress") == 3
    assert "mode observe" in caplog.text
    assert "gateway.example; certificate authority for these hosts only" in caplog.text
    flow = _flow()
    await addon.request(flow)
    await _answer(addon, flow)
    assert _stats(addon)["requests"] == 1


async def test_a_refused_start_touches_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    addon = FoundryCompress()
    with taddons.context(tlsconfig.TlsConfig()) as tctx:
        tctx.options.deferred["foundry_mode"] = "fast"
        tctx.master.addons.add(addon)
        tctx.options.update(confdir=str(tmp_path), foundry_state_dir=str(tmp_path / "state"))
        assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
            "foundry_mode: 'fast' is not possible; allowed are off, observe, lossless, balanced"
        ]
        addon.running()
        flow = _flow()
        await addon.request(flow)
        assert flow.request.content == b"body"
        assert not _hello(addon, HOST)
        addon.done()


async def test_an_authority_that_cannot_be_made_refuses_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "mitmproxy-ca.pem").write_text("damaged")
    addon = FoundryCompress()
    with taddons.context() as tctx:
        tctx.master.addons.add(addon)
        tctx.options.update(confdir=str(tmp_path), foundry_state_dir=str(tmp_path / "state"))
    (record,) = (record for record in caplog.records if record.levelno == logging.ERROR)
    assert "is damaged: delete it" in record.getMessage()
    assert record.exc_info is None
    addon.done()


async def test_mitmproxy_keeps_its_certificates_as_long_as_the_authority_is_the_same(addon: FoundryCompress) -> None:
    """As when the script is loaded anew: a connection that is being opened has its certificate among them."""
    store = ctx.master.addons.get("tlsconfig").certstore
    addon._authority_for = None
    addon.configure({"confdir"})
    assert ctx.master.addons.get("tlsconfig").certstore is store
    _options().update(foundry_extra_hosts="gateway.example")
    assert ctx.master.addons.get("tlsconfig").certstore is not store


async def test_a_proxy_that_only_others_use(addon: FoundryCompress, caplog: pytest.LogCaptureFixture) -> None:
    _hello(addon, OTHER)
    addon.requestheaders(_flow(OTHER, sni=None))
    addon._arrivals.only_others()
    addon._arrivals.nobody_came()
    assert caplog.text.count("Nothing for Foundry has come through this proxy yet, but 2 connection(s)") == 1
    assert "start the client with" not in caplog.text


async def test_a_proxy_that_nobody_uses(addon: FoundryCompress, caplog: pytest.LogCaptureFixture) -> None:
    addon._arrivals.nobody_came()
    addon._arrivals.nobody_came()
    assert caplog.text.count("Nothing has come through this proxy yet: start the client with HTTPS_PROXY=") == 1


async def test_a_proxy_that_foundry_uses_and_one_that_is_off_say_nothing(
    addon: FoundryCompress, caplog: pytest.LogCaptureFixture
) -> None:
    _options().update(foundry_mode="off")
    _hello(addon, OTHER)
    addon._arrivals.nobody_came()
    addon._arrivals.only_others()
    _options().update(foundry_mode="lossless")
    _hello(addon, HOST)
    addon._arrivals.nobody_came()
    addon._arrivals.only_others()
    assert "Nothing" not in caplog.text


async def test_the_notices_are_timed(addon: FoundryCompress, monkeypatch: pytest.MonkeyPatch) -> None:
    addon.done()
    addon._arrivals._timers.clear()
    loop = asyncio.get_running_loop()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)
    addon.running()
    _hello(addon, OTHER)
    _hello(addon, OTHER)
    due = [timer.when() - now for timer in addon._arrivals._timers]
    assert due == pytest.approx([arrivals.NOBODY_SECONDS, arrivals.ONLY_OTHERS_SECONDS])
    addon.done()
    assert all(timer.cancelled() for timer in addon._arrivals._timers)


@pytest.mark.usefixtures("addon")
async def test_an_option_in_the_way_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    _options().add_option("hardump", str, "", "")
    _options().update(hardump="/tmp/a.har")
    _options().update(foundry_mode="observe")
    assert caplog.text.count("hardump=/tmp/a.har: that file will hold the API keys") == 1


# The mode while the proxy runs


async def _conversation(addon: FoundryCompress, warm_until: float = 600.0) -> http.HTTPFlow:
    """A request of a conversation that goes out rewritten and is in the prompt cache, answered."""
    flow = _flow()
    await addon.request(flow)
    standing = Standing(
        "talk",
        "",
        None,
        is_cold=False,
        prefix_kept=True,
        moved=False,
        holdout=False,
        warm_until=time.time() + warm_until,
    )
    (bookkeeper, pending) = addon._unended[flow]
    bookkeeper.note(
        flow.request,
        HOST,
        pending.endpoint,
        mode=pending.mode,
        treatment=Treatment("rewritten", standing=standing),
        started=time.perf_counter(),
    )
    await _answer(addon, flow)
    return flow


async def test_off_holds_for_a_conversation_when_its_cache_has_expired(addon: FoundryCompress) -> None:
    await _conversation(addon)
    line = addon.set_mode("off", now=False)
    assert "go on as before" in line
    assert addon._looks_in
    assert _hello(addon, HOST), "a connection of that conversation is still looked into"


async def test_off_holds_at_once_where_nothing_is_warm(addon: FoundryCompress) -> None:
    await _conversation(addon, warm_until=-1.0)
    assert "holds at once" in addon.set_mode("off", now=False)
    assert not addon._looks_in


async def test_off_now_says_what_it_costs_and_holds_at_once(addon: FoundryCompress) -> None:
    await _conversation(addon)
    assert "will pay anew" in addon.set_mode("off", now=True)
    assert not addon._looks_in
    flow = _flow()
    await addon.request(flow)
    assert flow.request.content == b"body"


async def test_a_mode_that_is_none_is_refused_with_a_line(addon: FoundryCompress) -> None:
    with pytest.raises(ValueError, match="foundry_mode: 'fast' is not possible"):
        addon.set_mode("fast", now=False)
    assert addon.stats()["mode"] == "balanced"


async def test_the_mode_is_changed_with_the_token_only(
    addon: FoundryCompress, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        addon.running()
    token = caplog.text.split("with the token ")[1].split()[0]
    for given, status, mode in (("wrong", 403, "balanced"), (token, 200, "lossless")):
        flow = _flow("foundry.local", "/api/mode", "POST", sni=None)
        flow.request.content = b'{"mode": "lossless"}'
        flow.request.headers["authorization"] = f"Bearer {given}"
        await addon.request(flow)
        assert flow.response is not None
        assert (flow.response.status_code, addon.stats()["mode"]) == (status, mode)


async def test_a_company_policy_is_told_of_and_holds(
    addon: FoundryCompress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('modes = ["observe", "off"]\n')
    monkeypatch.setattr("configuring.company_policy.POLICY_FILE", file)
    with caplog.at_level(logging.INFO):
        _options().update(foundry_memory_mb="1")
    assert addon.stats()["mode"] == "observe"
    assert f"company policy {file}" in caplog.text
    with pytest.raises(ValueError, match="beyond the company policy"):
        addon.set_mode("lossless", now=False)


async def test_a_company_policy_that_cannot_be_read_rewrites_nothing(
    addon: FoundryCompress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "policy.toml"
    file.write_text("modes =")
    monkeypatch.setattr("configuring.company_policy.POLICY_FILE", file)
    _options().update(foundry_memory_mb="1")
    assert addon.stats()["mode"] == "off"
    assert "The company policy cannot be used" in caplog.text


# What is billed


async def test_responses_pass_the_usage_tap(addon: FoundryCompress) -> None:
    flow = _flow()
    await addon.request(flow)
    usage = b'{"usage": {"input_tokens": 5, "output_tokens": 2}}'
    flow.response = tutils.tresp(status_code=200, headers=((b"content-type", b"application/json"),))
    addon.responseheaders(flow)
    tap = flow.response.stream
    assert callable(tap)
    assert tap(usage) == usage
    assert tap(b"") == b""
    addon.response(flow)
    await asyncio.sleep(0)
    (account,) = addon.recent()
    assert account.entry.usage == Usage(uncached=5, output=2)


async def test_what_was_billed_tells_how_much_a_deployment_can_read(
    addon: FoundryCompress, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[object, ...]] = []
    monkeypatch.setattr(request_rewriter.RequestRewriter, "billed", lambda _, *what: told.append(what))
    flow = _flow()
    await addon.request(flow)
    flow.response = tutils.tresp(status_code=200, headers=((b"content-type", b"application/json"),))
    addon.responseheaders(flow)
    tap = flow.response.stream
    assert callable(tap)
    tap(b'{"model": "claude", "usage": {"input_tokens": 300000, "output_tokens": 2}}')
    tap(b"")
    addon.response(flow)
    await asyncio.sleep(0)
    assert told == [("messages", "claude", 300_000)]


async def test_the_figures_tell_of_a_request_as_soon_as_it_has_ended(addon: FoundryCompress) -> None:
    """Also where its tokens have yet to be counted: who asks then would miss it."""
    flow = _flow()
    await addon.request(flow)
    flow.response = tutils.tresp(status_code=200)
    addon.responseheaders(flow)
    addon.response(flow)
    assert addon.stats()["requests"] == 1
    await asyncio.sleep(0)
    assert addon.stats()["requests"] == 1


async def test_a_client_that_leaves_is_written_down(addon: FoundryCompress) -> None:
    flow = _flow()
    await addon.request(flow)
    flow.error = Error(CLIENT_LEFT)
    addon.error(flow)
    await asyncio.sleep(0)
    (account,) = addon.recent()
    assert account.entry.ending == "client-left"

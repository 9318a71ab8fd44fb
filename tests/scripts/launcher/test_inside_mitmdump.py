from __future__ import annotations

import asyncio
import importlib
import io
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from mitmproxy.test import taddons, tflow, tutils


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script as mitmdump loads it; it reads its session's directory when it is loaded."""
    monkeypatch.setenv("CLAUDE_FOUNDRY_SESSION", str(tmp_path / "session"))
    (tmp_path / "session").mkdir()
    import launcher.inside_mitmdump  # noqa: PLC0415

    return importlib.reload(launcher.inside_mitmdump)


def give(monkeypatch: pytest.MonkeyPatch, **orders: str | None) -> None:
    monkeypatch.setattr(
        "sys.stdin",
        io.StringIO(json.dumps({"upstream_auth": None, "direct_host": None, "token": "made-up"} | orders) + "\n"),
    )


@contextmanager
def options() -> Iterator[taddons.context]:
    """A mitmproxy with the options that orders set."""
    with taddons.context() as tctx:
        for name in ("upstream_auth", "foundry_token"):
            tctx.options.add_option(name, str, "", "")
        yield tctx


def test_orders_set_what_must_not_be_seen(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, upstream_auth="user:secret")
    with options() as tctx:
        script.Orders().load(None)
        assert tctx.options.upstream_auth == "user:secret"
        assert tctx.options.foundry_token == "made-up"


def test_without_orders_it_ends_and_leaves_nothing(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(SystemExit):
        script.Orders().load(None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("direct_host", "is_direct"), [("address", True), ("other", False), (None, False)])
def test_only_the_direct_host_goes_past_the_corporate_proxy(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, direct_host: str | None, is_direct: bool
) -> None:
    give(monkeypatch, direct_host=direct_host)
    orders = script.Orders()
    with options():
        orders.load(None)
    flow = tflow.tflow(req=tutils.treq(host="address", authority=b""))
    flow.server_conn.via = ("http", ("corp", 3128))
    before = flow.server_conn
    orders.requestheaders(flow)
    assert (flow.server_conn is not before) == is_direct
    assert (flow.server_conn.via is None) == is_direct
    assert flow.server_conn.address == before.address


def test_notices_are_kept_one_a_line(script: ModuleType, tmp_path: Path) -> None:
    keeper = script.NoticesForTheEnd()
    logger = logging.getLogger("foundry_compress")
    keeper.running()
    try:
        logger.warning("one\n thing: %s", "x")
        logger.info("not this")
    finally:
        keeper.done()
    logger.warning("nor this")
    assert (tmp_path / "session" / "notices").read_text() == "one thing: x\n"


async def test_it_ends_when_it_has_twice_in_a_row_found_nobody(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever started the launcher waits for this: with a connection that was just closing, it took seconds."""
    found = iter([{7: "sh"}, {}, {7: "sh"}, {}, {}])
    naps: list[float] = []
    ended: list[bool] = []
    wait = asyncio.sleep

    async def nap(seconds: float) -> None:
        naps.append(seconds)
        await wait(0)

    proxyserver = SimpleNamespace(connections={"one": object()}, listen_addrs=lambda: [("127.0.0.1", 4711)])
    master = SimpleNamespace(addons={"proxyserver": proxyserver}, shutdown=lambda: ended.append(True))
    monkeypatch.setattr(script, "ctx", SimpleNamespace(master=master))
    monkeypatch.setattr(script, "proxy_users", lambda _address: next(found))
    monkeypatch.setattr(asyncio, "sleep", nap)
    reading, writing = os.pipe()
    os.close(writing)  # the launcher is gone
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        lifeline = script.Lifeline()
        lifeline.running()
        assert lifeline._watch is not None
        await asyncio.wait_for(lifeline._watch, 60)
    assert ended == [True]
    assert naps == [script.LOOK_SELDOM, script.LOOK_AGAIN, script.LOOK_SELDOM, script.LOOK_AGAIN]

"""Made-up requests and a made-up addon, for tests of the site and for the pictures of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mitmproxy import http
from mitmproxy.test import tflow, tutils

from billing.accounts import Account
from billing.cache_health import Cause, Health
from billing.entry import Change
from billing.usage import Usage
from local_site import Live, Point, Site
from tests.billing.entries import entry as made_up_entry

TOKEN = "made-up-token-of-the-person"
USAGE = Usage(uncached=20, cache_read=9_000, cache_write_5m=1_000, output=300)
ENTRY = made_up_entry(
    1_800_000_000.0,
    conversation="made-up",
    deployment="claude-opus-4-6",
    model="claude-opus-4-6",
    bytes_before=50_000,
    bytes_after=40_000,
    added_ms=3.5,
    changes=(Change("Read", "numbered-file", 2, 4_000, 1_500),),
    usage=USAGE,
)


def account(cause: Cause | None = None, lost: int = 0, **changed: object) -> Account:
    """One request: rewritten and answered, unless `changed`."""
    entry = replace(ENTRY, **changed)  # type: ignore[arg-type]
    if entry.usage is None:
        return Account(entry)
    health = Health(cause, 10_000, lost) if cause else None
    return Account(entry, removed=3_000.0, paid=4_000.0, without=5_500.0, health=health)


class MadeUpModel:
    """What stands for the addon."""

    def __init__(self, *accounts: Account, **more: object) -> None:
        self.live = Live()
        self.mode = "balanced"
        self.more = more
        self.wishes: list[tuple[str, bool]] = []
        for one in accounts:
            self.live.add(one)

    def ready(self) -> Mapping[str, object]:
        return {"addon": "foundry_compress", "version": "1.2.3", "mode": self.mode, "pid": 1}

    def stats(self) -> Mapping[str, object]:
        return {"mode": self.mode, **self.live.as_dict(), **self.more}

    def recent(self) -> Sequence[Account]:
        return self.live.recent()

    def history(self) -> Sequence[Point]:
        return self.live.history()

    def set_mode(self, mode: str, now: bool) -> str:
        if mode not in ("off", "observe", "lossless", "balanced"):
            raise ValueError(f"{mode!a} is not possible;\nallowed are off, observe, lossless, balanced")
        self.wishes.append((mode, now))
        self.mode = mode
        return f"The mode is {mode} now."


def flow_for(  # noqa: PLR0913 - each is a thing of its own
    path: str = "/",
    *,
    method: str = "GET",
    body: bytes = b"",
    peer: str = "127.0.0.1",
    here: str = "127.0.0.1",
    host: str | None = "foundry.local",
    **headers: str,
) -> http.HTTPFlow:
    """A request to the site, as the proxy hands it on."""
    given = [(b"Host", host.encode())] if host is not None else []
    given += [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in headers.items()]
    flow = tflow.tflow(
        req=tutils.treq(
            host="foundry.local",
            authority=b"",
            path=path.encode(),
            method=method.encode(),
            headers=http.Headers(given),
            content=body,
        )
    )
    flow.client_conn.peername = (peer, 50_000)
    flow.client_conn.sockname = (here, 8_080)
    return flow


def ask(model: MadeUpModel, path: str = "/", **more: object) -> http.Response:
    """What a new site answers."""
    return answer(Site(model, TOKEN), path, **more)


def answer(site: Site, path: str = "/", **more: object) -> http.Response:
    """What `site` answers."""
    flow = flow_for(path, **more)  # type: ignore[arg-type]
    site.respond(flow)
    assert flow.response is not None
    return flow.response

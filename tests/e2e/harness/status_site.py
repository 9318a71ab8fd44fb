"""A mitmproxy script that answers as the site does, with made-up requests; the token is in $SITE_TOKEN.

One more request is made up whenever somebody asks for http://one-more.example/.
"""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path

from mitmproxy import http

_PROJECT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(_PROJECT / "addons"), str(_PROJECT)]

from billing.accounts import Account  # noqa: E402
from billing.cache_health import Cause  # noqa: E402
from billing.entry import Change  # noqa: E402
from billing.usage import Usage  # noqa: E402
from local_site import Site, forbid_connect, is_local_host  # noqa: E402
from tests.local_site.accounts import MadeUpModel, account  # noqa: E402

_HOURS = 3.2


def made_up(now: float) -> list[Account]:
    """Three hours of work: conversations that grow, with pauses between them."""
    chance = random.Random(5)
    accounts = []
    at = now - _HOURS * 3600
    cached = results = 0
    while at < now - 20:
        is_new = not cached or chance.random() < 0.02
        if is_new:
            cached, results = 18_000 + chance.randrange(4_000), 0
        new = 400 + chance.randrange(2_600)
        results += int(new * 0.8)
        is_small = results < 2_500
        removed = 0 if is_small else int(results * (0.2 + 0.1 * chance.random()))
        is_cold = chance.random() < 0.03 and not is_new
        read = 0 if is_cold else cached
        usage = Usage(chance.randrange(3, 12), read, new + cached - read, 0, chance.randrange(60, 900))
        paid = usage.uncached + 0.1 * read + 1.25 * usage.cache_write + 5 * usage.output
        made = account(
            Cause.EXPIRED if is_cold else None if is_new else Cause.HIT,
            lost=cached if is_cold else 0,
            at=at,
            deployment="claude-haiku-4-5" if is_new and is_small else "claude-opus-4-6",
            outcome="nothing-to-do" if is_small else "rewritten",
            added_ms=2 + chance.expovariate(0.3),
            set_aside=results // 9_000,
            changes=(Change("Read", "numbered-file", 1, results, results - removed),) if removed else (),
            usage=usage,
        )
        saved = removed * (1.25 if is_cold else 0.1) + 1.25 * min(removed, new) * 0.3
        accounts.append(Account(made.entry, float(removed), 0.0, paid, paid + saved, made.health))
        cached += new
        at += chance.expovariate(1 / 25) + (420 if chance.random() < 0.03 else 4)
    return accounts


class StatusSite:
    def __init__(self) -> None:
        self._model = MadeUpModel(*made_up(time.time()))
        self._site = Site(self._model, os.environ["SITE_TOKEN"])

    def http_connect(self, flow: http.HTTPFlow) -> None:
        if is_local_host(flow.request.host):
            forbid_connect(flow)
        else:
            flow.response = http.Response.make(403)

    def request(self, flow: http.HTTPFlow) -> None:
        if is_local_host(flow.request.host):
            self._site.respond(flow)
        else:
            flow.response = http.Response.make(200, "<p>Another site</p>", {"Content-Type": "text/html"})
            if flow.request.host == "one-more.example":
                self._model.live.add(account(at=time.time(), deployment="one-more <b>deployment</b>"))


addons = [StatusSite()]

"""Answers requests to the site: what is at which path, and who may have it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

from mitmproxy import http

from billing.accounts import Account
from local_site import metrics
from local_site.access import HOST, Guard, Refusal, check, plain
from local_site.live import Point
from local_site.page import page
from local_site.verdict import Verdict, judge
from local_site.words import what_was_done
from notices import where_it_broke

__all__ = ["Model", "Site"]

logger = logging.getLogger("foundry_compress")

_LONGEST_ORDER = 4096  # bytes of a body
_FOLDER = Path(__file__).parent
_FILES = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_MODE = "/api/mode"


class Model(Protocol):
    """What the site shows, and the one thing that it changes. All of it answers at once."""

    def ready(self) -> Mapping[str, object]:
        """What is known without any request: `addon`, `version`, `mode`, `pid`."""

    def stats(self) -> Mapping[str, object]:
        """`Live.as_dict` with `mode`, and if there are any, `ledger_lost` (a number) and `problems` (lines)."""

    def recent(self) -> Sequence[Account]:
        """The last requests, newest last."""

    def history(self) -> Sequence[Point]:
        """Sums by the minute, oldest first."""

    def set_mode(self, mode: str, now: bool) -> str:  # noqa: FBT001 - as the JSON has it
        """Change the mode; a line that says what follows. Raises ValueError with a line if that is not possible."""


class Site:
    """Answers for `HOST`. `token` is what a change needs: with an empty one nothing can be changed."""

    def __init__(self, model: Model, token: str) -> None:
        self._model = model
        self._guard = Guard(token)
        self._pages: dict[str, Callable[[http.Request], http.Response]] = {
            "/": self._page,
            "/ready": lambda _: _json(self._model.ready()),
            "/api/stats": lambda _: _json({**self._model.stats(), "health": self._verdict().as_dict()}),
            "/api/requests": lambda _: _json({"requests": [_told(one) for one in reversed(self._model.recent())]}),
            "/metrics": self._metrics,
        }
        for name, kind in _FILES.items():
            self._pages[f"/{name}"] = _file(_FOLDER / name, kind)

    def respond(self, flow: http.HTTPFlow) -> None:
        """Answer the request: with an error if need be, never from the network. Raises nothing."""
        try:
            check(flow)
            response = self._order(flow.request) if flow.request.method == "POST" else self._read(flow.request)
        except Refusal as refusal:
            response = plain(refusal.status, str(refusal), refusal.headers)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            logger.error("foundry.local failed (%s)", where_it_broke(error))  # noqa: TRY400 - no message: it may quote
            response = plain(
                HTTPStatus.INTERNAL_SERVER_ERROR, "This page failed; requests to Foundry are not affected."
            )
        for name, value in _HEADERS.items():
            response.headers[name] = value
        if flow.request.method == "HEAD":
            response.raw_content = b""  # and Content-Length stays
        flow.response = response

    def _read(self, request: http.Request) -> http.Response:
        if request.method not in ("GET", "HEAD"):
            raise _not_allowed("GET only")
        path = request.path.partition("?")[0]
        if path == _MODE:
            raise _not_allowed(f"{_MODE} takes POST only")
        if path not in self._pages:
            raise Refusal(HTTPStatus.NOT_FOUND, f"{HOST} has {', '.join(sorted(self._pages))}.")
        return self._pages[path](request)

    def _order(self, request: http.Request) -> http.Response:
        if request.path != _MODE:
            raise _not_allowed("GET only")
        self._guard.check(request)
        mode, now = _wish(request.raw_content or b"")
        try:
            line = self._model.set_mode(mode, now)
        except ValueError as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, " ".join(str(error).split())) from None
        return _json({"message": line})

    def _page(self, _: http.Request) -> http.Response:
        text = page(
            self._model.ready(),
            self._model.stats(),
            self._model.recent(),
            self._model.history(),
            self._verdict(),
            time.time(),
        )
        return _answer(text.encode("utf-8", "replace"), "text/html; charset=utf-8")

    def _metrics(self, request: http.Request) -> http.Response:
        if not metrics.IS_AVAILABLE:
            raise Refusal(HTTPStatus.NOT_IMPLEMENTED, metrics.HOW_TO_GET_IT)
        content, kind = metrics.exposition(self._model.ready, self._model.stats, request.headers.get("accept", ""))
        return _answer(content, kind)

    def _verdict(self) -> Verdict:
        return judge(self._model.stats(), self._model.recent())


def _not_allowed(what: str) -> Refusal:
    return Refusal(HTTPStatus.METHOD_NOT_ALLOWED, f"{HOST} answers {what}.")


def _wish(body: bytes) -> tuple[str, bool]:
    """The mode that is asked for, and whether at once."""
    form = Refusal(HTTPStatus.BAD_REQUEST, f'{_MODE} takes JSON: {{"mode": "lossless", "now": false}}')
    if len(body) > _LONGEST_ORDER:
        raise form
    try:
        order = json.loads(body)
    except (ValueError, RecursionError):
        raise form from None
    if not isinstance(order, dict):
        raise form
    mode, now = order.get("mode"), order.get("now", False)
    if not isinstance(mode, str) or not isinstance(now, bool):
        raise form
    return mode, now


def _told(account: Account) -> dict[str, object]:
    """One request, for JSON."""
    entry, usage = account.entry, account.entry.usage
    billed = usage and {
        "uncached": usage.uncached,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write,
        "output": usage.output,
    }
    return {
        "at": datetime.fromtimestamp(entry.at, UTC).isoformat(timespec="milliseconds"),
        "conversation": entry.conversation,
        "deployment": entry.deployment,
        "model": entry.model,
        "endpoint": entry.endpoint,
        "mode": entry.mode,
        "outcome": entry.outcome,
        "what": what_was_done(account),
        "status": entry.status,
        "ending": entry.ending,
        "tokens_before": entry.tokens_before,
        "tokens_after": entry.tokens_after,
        "set_aside": entry.set_aside,
        "recalled": entry.recalled,
        "billed": billed,
        "units_paid": account.paid,
        "units_saved": None if account.paid is None else account.saved,
        "cache": account.health.cause if account.health else None,
        "added_ms": round(entry.added_ms, 2),
    }


def _file(path: Path, kind: str) -> Callable[[http.Request], http.Response]:
    content = path.read_bytes()
    return lambda _: _answer(content, f"{kind}; charset=utf-8")


def _json(document: Mapping[str, object]) -> http.Response:
    return _answer(json.dumps(document).encode(), "application/json")


def _answer(content: bytes, kind: str) -> http.Response:
    return http.Response.make(HTTPStatus.OK, content, {"Content-Type": kind})

from __future__ import annotations

import json
import logging
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from billing.cache_health import Cause
from billing.entry import Ending
from local_site import Site, metrics
from tests.local_site.accounts import TOKEN, MadeUpModel, account, answer, ask

_METRICS = ("/metrics",) if metrics.IS_AVAILABLE else ()
PAGES = ("/", "/ready", "/api/stats", "/api/requests", "/page.css", "/page.js", "/icon.svg", *_METRICS)
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def model() -> MadeUpModel:
    return MadeUpModel(account(), account(Cause.OURS, lost=500, at=1_800_000_100.0))


def _order(model: MadeUpModel, body: object, **headers: str) -> tuple[int, str]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = ask(model, "/api/mode", method="POST", body=content, **(BEARER | headers))
    return response.status_code, response.text or ""


@pytest.mark.parametrize("path", PAGES)
def test_what_is_there(model: MadeUpModel, path: str) -> None:
    response = ask(model, path)
    assert response.status_code == 200
    assert response.content
    assert ask(model, f"{path}?x=1").content


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_kept_framed_or_taken_for_something_else(model: MadeUpModel, path: str) -> None:
    for response in (ask(model, path), ask(model, path, method="DELETE"), ask(model, path, peer="192.0.2.1")):
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_may_load_only_what_is_of_this_site(model: MadeUpModel, path: str) -> None:
    policy = ask(model, path).headers["content-security-policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert set(rules.values()) == {"'none'", "'self'"}
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", PAGES)
def test_head_says_how_long_and_sends_nothing(model: MadeUpModel, path: str) -> None:
    response = ask(model, path, method="HEAD")
    assert response.status_code == 200
    assert int(response.headers["content-length"]) > 0
    assert response.raw_content == b""


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "post", "POST"])
def test_other_methods_are_refused(model: MadeUpModel, method: str) -> None:
    assert ask(model, "/api/stats", method=method, **BEARER).status_code == 405


def test_other_paths_are_refused(model: MadeUpModel) -> None:
    for path in ("/secrets", "/ready/", "/../page.py", "/page.py", "//", "/%2e%2e/", ""):
        response = ask(model, path)
        assert response.status_code == 404, path
        assert "/api/stats" in (response.text or "")


def test_strangers_are_told_nothing(model: MadeUpModel) -> None:
    for path in PAGES:
        response = ask(model, path, peer="192.0.2.1", here="192.0.2.2")
        assert response.status_code == 403
        assert (response.text or "").startswith("foundry.local answers programs on")
        assert ask(model, path, Origin="https://evil.example").status_code == 403
        assert ask(model, path, host="evil.example").status_code == 403


def test_ready(model: MadeUpModel) -> None:
    assert json.loads(ask(model, "/ready").content or b"") == model.ready()


def test_the_sums_and_whether_it_works(model: MadeUpModel) -> None:
    told = json.loads(ask(model, "/api/stats").content or b"")
    health = told.pop("health")
    assert told == json.loads(json.dumps(model.stats()))
    assert health["state"] == "healthy"


def test_the_last_requests_newest_first(model: MadeUpModel) -> None:
    model.live.add(account(usage=None, status=429, ending=Ending.REFUSED, at=1_800_000_200.25))
    newest, other, _ = json.loads(ask(model, "/api/requests").content or b"")["requests"]
    assert newest["at"] == "2027-01-15T08:03:20.250+00:00"
    assert newest["what"] == "made smaller; the service refused it (429)"
    assert (newest["billed"], newest["units_paid"], newest["units_saved"]) == (None, None, None)
    assert other["billed"] == {"uncached": 20, "cache_read": 9_000, "cache_write": 1_000, "output": 300}
    assert (other["tokens_before"], other["tokens_after"]) == (4_000, 1_500)
    assert (other["units_paid"], other["units_saved"]) == (4_000, 1_500)
    assert other["cache"] == "ours"
    assert "session" not in other


# The page


class _Reader(HTMLParser):
    """Checks that tags are closed in order, and keeps them and what is written."""

    VOID = frozenset({"meta", "link", "input", "line", "rect", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def _read(model: MadeUpModel) -> _Reader:
    reader = _Reader()
    reader.feed(ask(model).text or "")
    reader.close()
    assert reader.open == []
    return reader


HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>\u202e&amp;\n\x00'


@pytest.mark.parametrize(
    "made_up",
    [
        MadeUpModel(),
        MadeUpModel(account(), account(usage=None), account(outcome="observed"), account(outcome="failed")),
        MadeUpModel(account(deployment=HOSTILE, model=HOSTILE, outcome=HOSTILE, mode=HOSTILE)),
        MadeUpModel(account(deployment="\ud800"), problems=[HOSTILE], ledger_lost=3),
    ],
)
def test_the_page_is_whole_and_refers_to_nothing_outside(made_up: MadeUpModel) -> None:
    reader = _read(made_up)
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {tag for tag, _ in reader.tags} & {"img", "iframe", "object", "style", "base"} == set()
    assert [attributes for tag, attributes in reader.tags if tag == "script"] == [{"src": "/page.js", "defer": None}]
    for _, attributes in reader.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("src", "href"):
            assert (attributes.get(name) or "/").startswith("/")
        for name in ("for", "aria-labelledby"):
            assert set((attributes.get(name) or "").split()) <= set(ids)


def test_what_comes_from_outside_is_shown_as_text() -> None:
    model = MadeUpModel(account(deployment=HOSTILE), account(outcome="<b>"), problems=["<i>a problem</i>"])
    page = ask(model).text or ""
    assert "<script>alert" not in page
    assert "<b>" not in page
    assert "<i>a problem" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "\u202e" not in page
    assert "\x00" not in page
    assert "&lt;i&gt;a problem&lt;/i&gt;" in page


def test_every_column_and_field_has_a_name() -> None:
    reader = _read(MadeUpModel(account()))
    fields = {attributes["id"] for tag, attributes in reader.tags if tag in ("input", "select")}
    assert fields == {attributes["for"] for tag, attributes in reader.tags if tag == "label"}
    assert {attributes.get("scope") for tag, attributes in reader.tags if tag == "th"} == {"col", "row"}
    (picture,) = [attributes for tag, attributes in reader.tags if tag == "svg"]
    assert picture["role"] == "img"
    assert picture["aria-labelledby"] == "chart-title chart-says"


def test_the_page_has_the_figures_without_a_script(model: MadeUpModel) -> None:
    said = " ".join(" ".join(_read(model).said).split())
    for part in (
        "Healthy: 2 of the last 2 requests were made smaller.",
        "Requests 2 2 made smaller",
        "Tokens removed 5,000",
        "Units saved (estimate) 3,000 27.3 % of 11.0 k units",
        "0.0150 USD",
        "claude-opus-4-6 made smaller 4,000 1,500 9,000 1,000 3.5",
        "Missed: old results were set aside although the cache was warm 1 500",
        "mode balanced",
    ):
        assert part in said, part


def test_in_observe_the_page_says_what_would_have_been() -> None:
    model = MadeUpModel(replace(account(outcome="observed"), could_save=700.0))
    model.mode = "observe"
    said = " ".join(" ".join(_read(model).said).split())
    assert "Would have been removed 2,500 tokens; 700 units (estimate)" in said
    assert "Measuring: " in said


def test_the_page_shows_the_last_requests_only() -> None:
    page = ask(MadeUpModel(*[account(deployment=f"made-up-{number}") for number in range(120)])).text or ""
    shown = set(re.findall(r"<bdi>made-up-(\d+)</bdi></td>", page))
    assert shown == {str(number) for number in range(70, 120)}


def test_the_token_is_on_no_page(model: MadeUpModel) -> None:
    site = Site(model, TOKEN)
    for path in PAGES:
        assert TOKEN not in (answer(site, path).text or "")
        assert TOKEN not in (answer(site, path, **BEARER).text or "")


# Changing the mode


def test_the_mode_changes_for_whoever_has_the_token(model: MadeUpModel) -> None:
    status, said = _order(model, {"mode": "lossless"})
    assert (status, json.loads(said)) == (200, {"message": "The mode is lossless now."})
    assert _order(model, {"mode": "off", "now": True})[0] == 200
    assert model.wishes == [("lossless", False), ("off", True)]


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", TOKEN])
def test_and_for_nobody_else(model: MadeUpModel, authorization: str) -> None:
    status, said = _order(model, {"mode": "off"}, Authorization=authorization)
    assert status == 403
    assert TOKEN not in said
    assert _order(model, {"mode": "off"}, Origin="https://evil.example")[0] == 403
    assert model.wishes == []


def test_too_many_wrong_tokens(model: MadeUpModel) -> None:
    site = Site(model, TOKEN)
    order: dict[str, Any] = {"method": "POST", "body": b'{"mode": "off"}'}
    for _ in range(20):
        assert answer(site, "/api/mode", **order, Authorization="Bearer wrong").status_code == 403
    refused = answer(site, "/api/mode", **order, **BEARER)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert model.wishes == []


def test_a_mode_that_is_not_possible(model: MadeUpModel) -> None:
    status, said = _order(model, {"mode": "x\n"})
    assert (status, said) == (400, "'x\\n' is not possible; allowed are off, observe, lossless, balanced\n")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"off",
        b"\xff",
        b"[" * 5_000,
        b"[" * 4_000,
        b'{"mode": "off"}' + b" " * 5_000,
        [],
        {},
        {"mode": 1},
        {"mode": "off", "now": "false"},
        {"mode": None, "now": True},
    ],
)
def test_a_wish_that_cannot_be_read(model: MadeUpModel, body: object) -> None:
    status, said = _order(model, body)
    assert status == 400
    assert said.count("\n") == 1
    assert model.wishes == []


def test_the_mode_is_not_read_there(model: MadeUpModel) -> None:
    assert ask(model, "/api/mode").status_code == 405


# When something is wrong


def test_whatever_breaks_is_answered_and_quotes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class _Broken(MadeUpModel):
        def stats(self) -> dict[str, object]:
            raise RuntimeError("a secret")

    with caplog.at_level(logging.ERROR):
        response = ask(_Broken(), "/")
    assert response.status_code == 500
    assert "RuntimeError at accounts" not in caplog.text
    assert "foundry.local failed (RuntimeError at test_site.py" in caplog.text
    assert "a secret" not in caplog.text + (response.text or "")


def test_metrics_without_the_package(model: MadeUpModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local_site.metrics.IS_AVAILABLE", False)
    response = ask(model, "/metrics")
    assert response.status_code == 501
    assert "uv pip install prometheus_client" in (response.text or "")
    assert (response.text or "").count("\n") == 1
